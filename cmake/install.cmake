# What `cmake --install` and `cpack` make: the shared and the static library, each of all layers, for
# find_package(onnxrun) and pkg-config; the public headers; the command with its manual
# pages and completions.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(layers api data ops importer exporter runtime)
list(TRANSFORM layers REPLACE "(.+)" "$<TARGET_OBJECTS:onnxrun_\\1>" OUTPUT_VARIABLE layer_objects)
set(layer_libraries fmt::fmt TBB::tbb Threads::Threads ZLIB::ZLIB PNG::PNG onnx_proto
    protobuf::libprotobuf PkgConfig::TURBOJPEG PkgConfig::HWY ${WEBP_LINK_LIBRARIES}
    ${RE2_LINK_LIBRARIES})

function(onnxrun_package kind type)
  add_library(onnxrun_${kind} ${type} ${layer_objects})
  # A sanitizer's run-time library leaves names open that a shared library may not.
  if(ONNXRUN_SANITIZE OR ONNXRUN_FUZZ)
    set_target_properties(onnxrun_${kind} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
  set_target_properties(onnxrun_${kind} PROPERTIES LINKER_LANGUAGE CXX EXPORT_NAME ${ARGV2}
                        OUTPUT_NAME onnxrun ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/package
                        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/package
                        VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  target_compile_features(onnxrun_${kind} INTERFACE cxx_std_20)
  target_include_directories(onnxrun_${kind} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endfunction()
onnxrun_package(shared SHARED onnxrun)
target_link_libraries(onnxrun_shared PRIVATE ${layer_libraries})
target_link_options(onnxrun_shared PRIVATE
                    -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map -Wl,--no-undefined)
set_target_properties(onnxrun_shared PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map)
onnxrun_package(static STATIC static)
add_custom_target(packages DEPENDS onnxrun_shared onnxrun_static onnxrun)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/onnxrun)
install(TARGETS onnxrun_shared EXPORT onnxrun
        LIBRARY COMPONENT library NAMELINK_COMPONENT development)
install(TARGETS onnxrun_static EXPORT onnxrun ARCHIVE COMPONENT development)
install(DIRECTORY api/onnxrun runtime/onnxrun DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT development FILES_MATCHING PATTERN "*.h")
install(FILES api/onnxrun.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(EXPORT onnxrun NAMESPACE onnxrun:: FILE onnxrun-targets.cmake DESTINATION ${package_dir}
        COMPONENT development)
configure_package_config_file(cmake/onnxrun-config.cmake.in onnxrun-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(onnxrun-config-version.cmake COMPATIBILITY SameMinorVersion)
# Wherever it is installed, packages included, the file finds the rest from where it lies itself.
file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" prefix_from_pc "${prefix_from_pc}")
configure_file(cmake/onnxrun.pc.in onnxrun.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/onnxrun-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/onnxrun-config-version.cmake
        DESTINATION ${package_dir} COMPONENT development)
configure_file(cmake/onnxrun-c.pc.in onnxrun-c.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/onnxrun.pc ${CMAKE_CURRENT_BINARY_DIR}/onnxrun-c.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
install(TARGETS onnxrun RUNTIME COMPONENT command)

# The command writes its own manual pages and completions.
set(documents ${PROJECT_BINARY_DIR}/documents)
add_custom_command(OUTPUT ${documents}/stamp
  COMMAND onnxrun help --install ${documents}
  COMMAND ${CMAKE_COMMAND} -E touch ${documents}/stamp
  DEPENDS onnxrun VERBATIM)
add_custom_target(onnxrun_documents ALL DEPENDS ${documents}/stamp)
add_dependencies(packages onnxrun_documents)
install(DIRECTORY ${documents}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT command)
install(DIRECTORY ${documents}/bash-completion ${documents}/zsh ${documents}/fish
        DESTINATION ${CMAKE_INSTALL_DATADIR} COMPONENT command)

set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_NAME onnxrun)
set(CPACK_PACKAGE_CONTACT "the onnxrun developers <onnxrun@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "runs and trains ONNX files in C++")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL library development command)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libonnxrun${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libonnxrun-dev)
set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME onnxrun)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SHLIBDEPS ON)
# For pictures as PNG, for some that are read, and for --products openblas.
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SUGGESTS "libtiff6, libopenjp2-7")
set(CPACK_DEBIAN_COMMAND_PACKAGE_RECOMMENDS "libcairo2, libtiff6, libopenjp2-7")
if(ONNXRUN_OPENBLAS)
  string(APPEND CPACK_DEBIAN_LIBRARY_PACKAGE_SUGGESTS ", libopenblas0-serial")
  string(APPEND CPACK_DEBIAN_COMMAND_PACKAGE_RECOMMENDS ", libopenblas0-serial")
endif()
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
    "libonnxrun${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION})")
# For onnxrun::static.
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS
    "libfmt-dev, libtbb-dev, libonnx-dev, libprotobuf-dev, libturbojpeg0-dev, libwebp-dev, libpng-dev, \
zlib1g-dev, libhwy-dev, libre2-dev")
include(CPack)
