# One library a folder, its flags on the target and nowhere else.
#
#   nearside_library(NAME SOURCES a.cc b.cc [PUBLIC deps...] [PRIVATE deps...])
#   nearside_program(NAME SOURCES main.cc PRIVATE deps...)
#   nearside_test(NAME SOURCES a_test.cc [PRIVATE deps...])      one executable, gtest_main, under ctest
#   nearside_bench(NAME SOURCES a.cc [PRIVATE deps...])          run by hand
#
# Libraries are named nearside_FOLDER; includes are written from the repository's root.
#
# NEARSIDE_BATCH compiles sixteen files as one, which takes a quarter of the time. A file's local names must then differ
# from those of the folder's other files. Preset dev compiles file by file: one that lives on another's includes is found
# there (tests/long.sh tidy).

add_library(nearside_flags INTERFACE)
target_compile_features(nearside_flags INTERFACE cxx_std_20)
target_include_directories(nearside_flags INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(nearside_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Woverloaded-virtual
  $<$<CXX_COMPILER_ID:GNU>:-Wcast-qual>  # clang says it of OpenSSL's macros
  $<IF:$<BOOL:$<TARGET_PROPERTY:UNITY_BUILD>>,-Wno-unused-function,-Wshadow>
  -Wno-missing-field-initializers -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overlapping copies in std::string's operator+ where there are none (its bug 105651).
  target_compile_options(nearside_flags INTERFACE -Wno-restrict)
endif()
if(NEARSIDE_SANITIZE)
  target_compile_options(nearside_flags INTERFACE -fsanitize=${NEARSIDE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(nearside_flags INTERFACE -fsanitize=${NEARSIDE_SANITIZE})
  # By which sources know; g++ has them of its own.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND NEARSIDE_SANITIZE MATCHES "address")
    target_compile_definitions(nearside_flags INTERFACE __SANITIZE_ADDRESS__=1)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND NEARSIDE_SANITIZE MATCHES "thread")
    target_compile_definitions(nearside_flags INTERFACE __SANITIZE_THREAD__=1)
  endif()
endif()

function(nearside_batch name)
  if(NEARSIDE_BATCH)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
    # What this, -Wshadow and -Wunused-function warn of is said of the batch, not of a file.
    target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  endif()
endfunction()

function(nearside_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  nearside_batch(${name})
  target_link_libraries(${name} PUBLIC nearside_flags ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
endfunction()

function(nearside_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;PRIVATE" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE nearside_flags ${arg_PRIVATE})
endfunction()

function(nearside_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;PRIVATE" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 600)
  endif()
  add_executable(${name} ${arg_SOURCES})
  nearside_batch(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  # Optimising a test takes longer than running it.
  target_compile_options(${name} PRIVATE -O0)
  target_link_libraries(${name} PRIVATE nearside_flags ${arg_PRIVATE} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE NEARSIDE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS unit)
endfunction()

# Built with everything else, or it would fall behind; not with a sanitizer, whose figures nobody wants.
function(nearside_bench name)
  cmake_parse_arguments(arg "" "" "SOURCES;PRIVATE" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE nearside_flags ${arg_PRIVATE})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  if(NEARSIDE_SANITIZE)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
endfunction()
