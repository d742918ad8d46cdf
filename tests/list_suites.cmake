# Writes one add_test() per GoogleTest suite of PROGRAM into OUTPUT. Each suite notes in the folder
# TRIED which operators it tried; the suite TestedOperators comes after all others and judges that.
execute_process(COMMAND ${PROGRAM} --gtest_list_tests
                OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE_RECURSE ${TRIED})
# Brackets in the values of parameters would keep CMake from splitting the list there.
string(REGEX REPLACE " *# [^\n]*" "" listing "${listing}")
string(REGEX REPLACE "\n+$" "" listing "${listing}")
string(REPLACE ";" "\\;" listing "${listing}")
string(REPLACE "\n" ";" lines "${listing}")
set(script "")
set(others "")
foreach(line IN LISTS lines)
  # A suite stands at the start of its line and ends with a dot; its tests are indented.
  if(line MATCHES "^([^ ]+)\\.( |$)")
    set(suite "${CMAKE_MATCH_1}")
    string(APPEND script
           "add_test([[unit.${suite}]] [[${PROGRAM}]] [[--gtest_filter=${suite}.*]]"
           " --gtest_brief=1)\n")
    if(suite STREQUAL "TestedOperators")
      set(environment "ONNXRUN_TRIED_FOLDER=${TRIED}")
    else()
      string(REPLACE "/" "_" file "${suite}")
      set(environment "ONNXRUN_TESTED_OPERATORS=${TRIED}/${file}")
      list(APPEND others "unit.${suite}")
    endif()
    string(APPEND script
           "set_tests_properties([[unit.${suite}]] PROPERTIES ENVIRONMENT [[${environment}]])\n")
  endif()
endforeach()
string(APPEND script "set_tests_properties(unit.TestedOperators PROPERTIES DEPENDS [[${others}]])\n")
file(WRITE ${OUTPUT} "${script}")
