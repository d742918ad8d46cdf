# Writes one add_test() per GoogleTest suite of PROGRAM into OUTPUT.
execute_process(COMMAND ${PROGRAM} --gtest_list_tests
                OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "\n+$" "" listing "${listing}")
string(REPLACE ";" "\\;" listing "${listing}")
string(REPLACE "\n" ";" lines "${listing}")
set(script "")
foreach(line IN LISTS lines)
  # A suite stands at the start of its line and ends with a dot; its tests are indented.
  if(line MATCHES "^([^ ]+)\\.( |$)")
    set(suite "${CMAKE_MATCH_1}")
    string(APPEND script
           "add_test([[unit.${suite}]] [[${PROGRAM}]] [[--gtest_filter=${suite}.*]]"
           " --gtest_brief=1)\n")
  endif()
endforeach()
file(WRITE ${OUTPUT} "${script}")
