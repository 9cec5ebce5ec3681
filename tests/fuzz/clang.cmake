# The preset fuzz: libFuzzer is a part of clang, under whatever name it is installed.
find_program(IMPCERT_CLANG NAMES clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14)
if(NOT IMPCERT_CLANG)
  message(FATAL_ERROR "fuzzing needs clang and its libFuzzer: apt-get install clang libclang-rt-14-dev "
    "(or the libclang-rt-N-dev of your clang)")
endif()
set(CMAKE_C_COMPILER ${IMPCERT_CLANG})
