# What is tested is optimized, the tests themselves are not: compiling them would take twice as long. For the same
# reason gmock is read once for all of them.
add_library(courier_test_headers OBJECT ${CMAKE_CURRENT_LIST_DIR}/test_headers.cc)
target_link_libraries(courier_test_headers PRIVATE GTest::gmock)
target_precompile_headers(courier_test_headers PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
target_compile_options(courier_test_headers PRIVATE ${COURIER_TEST_OPTIMIZATION})

function(courier_test_program target)
  add_executable(${target} ${ARGN})
  target_compile_options(${target} PRIVATE ${COURIER_TEST_OPTIMIZATION})
  target_precompile_headers(${target} REUSE_FROM courier_test_headers)
endfunction()

# All fuzzers, for tools/test --long.
add_custom_target(fuzzers)

# courier_test(TARGET NAME source… LIBS library…): a program of unit tests, which ctest knows as NAME.
function(courier_test target name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  courier_test_program(${target} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${target} PRIVATE ${ARG_LIBS} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${target})
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 300)
endfunction()

# A folder under src/ is a library: every .cc in it, except tests. Its *_test.cc become one test program,
# its *_fuzz.cc one fuzzer each (clang) and a replay of the corpus beside it as an ordinary test.
function(courier_folder name)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBS" ${ARGN})
  string(REPLACE "/" "_" flat ${name})
  set(target courier_${flat})
  set(dir ${PROJECT_SOURCE_DIR}/src/${name})
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cc)
  set(tests ${sources})
  set(fuzzers ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz)\\.cc$")

  set(kind PUBLIC)
  if(sources)
    add_library(${target} STATIC ${sources})
  else()
    set(kind INTERFACE)
    add_library(${target} INTERFACE)
  endif()
  target_include_directories(${target} ${kind} ${PROJECT_SOURCE_DIR}/src)
  foreach(dep ${ARG_DEPS})
    string(REPLACE "/" "_" dep ${dep})
    target_link_libraries(${target} ${kind} courier_${dep})
  endforeach()
  target_link_libraries(${target} ${kind} ${ARG_LIBS})

  if(tests)
    courier_test(${flat}_test unit.${name} ${tests} LIBS ${target})
    target_compile_definitions(${flat}_test PRIVATE SAMPLES_DIR="${dir}/samples")
  endif()
  foreach(fuzzer ${fuzzers})
    get_filename_component(stem ${fuzzer} NAME_WE)
    add_executable(${flat}_${stem} ${fuzzer})
    target_link_libraries(${flat}_${stem} PRIVATE ${target})
    if(COURIER_FUZZ)
      target_link_options(${flat}_${stem} PRIVATE -fsanitize=fuzzer)
      add_dependencies(fuzzers ${flat}_${stem})
    else()
      # Without libFuzzer the same entry point replays the committed corpus.
      target_sources(${flat}_${stem} PRIVATE ${PROJECT_SOURCE_DIR}/test/fuzz/replay_main.cc)
      add_test(NAME fuzz.${flat}_${stem}
               COMMAND ${flat}_${stem} ${PROJECT_SOURCE_DIR}/test/fuzz/corpus/${flat}_${stem})
      set_tests_properties(fuzz.${flat}_${stem} PROPERTIES LABELS fuzz TIMEOUT 300)
    endif()
  endforeach()
endfunction()

# courier_text(FOLDER FILE NAME): a text file of the folder's, compiled in as a std::string_view that a header there
# declares.
function(courier_text name file variable)
  set(path ${PROJECT_SOURCE_DIR}/src/${name}/${file})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  file(READ ${path} text)
  get_filename_component(stem ${file} NAME_WE)
  set(source ${PROJECT_BINARY_DIR}/text/${name}_${stem}.cc)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT [==[
#include "@name@/@stem@_page.h"

namespace courier::@name@ {

extern constinit const std::string_view @variable@ = R"courier_text(@text@)courier_text";

}  // namespace courier::@name@
]==])
  target_sources(courier_${name} PRIVATE ${source})
endfunction()

# courier_proto(FOLDER FILE): messages and gRPC clients of FILE.proto in the folder, as "FOLDER/FILE.pb.h" and
# "FOLDER/FILE.grpc.pb.h". What is generated is compiled without our warnings, in a library of its own.
function(courier_proto name file)
  string(REPLACE "/" "_" flat ${name})
  set(proto ${PROJECT_SOURCE_DIR}/src/${name}/${file}.proto)
  set(root ${PROJECT_BINARY_DIR}/proto)
  set(stem ${root}/${name}/${file})
  file(MAKE_DIRECTORY ${root})
  add_custom_command(
    OUTPUT ${stem}.pb.h ${stem}.pb.cc ${stem}.grpc.pb.h ${stem}.grpc.pb.cc
    COMMAND ${PROTOC} -I${PROJECT_SOURCE_DIR}/src --cpp_out=${root} --grpc_out=${root}
            --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN} ${proto}
    DEPENDS ${proto} VERBATIM)
  set(target courier_${flat}_${file})
  add_library(${target} STATIC ${stem}.pb.cc ${stem}.grpc.pb.cc)
  set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)
  target_compile_options(${target} PRIVATE -w $<$<CONFIG:Release>:-O1>)
  target_include_directories(${target} SYSTEM PUBLIC ${root})
  target_link_libraries(${target} PUBLIC gRPC::grpc++)
  target_link_libraries(courier_${flat} PUBLIC ${target})
endfunction()
