# What the extra builds of tools/test are for, as one target each, so that they build nothing else: the broker, the
# command line, the simulator and unit tests. (Scenario programs come from the release build and run this broker.)
#   checked_asan   all unit tests
#   checked_tsan   those of code that threads share
# Included last: it looks at the targets that are already there.
function(courier_executables result directory)
  get_directory_property(found DIRECTORY ${directory} BUILDSYSTEM_TARGETS)
  get_directory_property(subdirectories DIRECTORY ${directory} SUBDIRECTORIES)
  foreach(subdirectory ${subdirectories})
    courier_executables(deeper ${subdirectory})
    list(APPEND found ${deeper})
  endforeach()
  set(executables)
  foreach(target ${found})
    get_target_property(type ${target} TYPE)
    if(type STREQUAL EXECUTABLE)
      list(APPEND executables ${target})
    endif()
  endforeach()
  set(${result} ${executables} PARENT_SCOPE)
endfunction()

courier_executables(checked ${PROJECT_SOURCE_DIR})
list(FILTER checked INCLUDE REGEX "(_test|^courierd|^courier|^sim)$")
set(in_threads ${checked})
list(FILTER in_threads EXCLUDE REGEX
     "^(mqtt|session|record|config|jose|auth|auth_file|fault_ledger|golden_store|courierd)_test$")
add_custom_target(checked_asan DEPENDS ${checked})
add_custom_target(checked_tsan DEPENDS ${in_threads})

# tools/sanitizer-tests writes this file; without it a run shows this build's own tests only.
file(WRITE ${PROJECT_BINARY_DIR}/foreign_tests.cmake
     "if(EXISTS [==[${PROJECT_BINARY_DIR}/sanitizer_tests.cmake]==])\n"
     "  include([==[${PROJECT_BINARY_DIR}/sanitizer_tests.cmake]==])\n"
     "endif()\n")
set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY
             TEST_INCLUDE_FILES ${PROJECT_BINARY_DIR}/foreign_tests.cmake)
