# CMake toolchain file for WASI programs, with Debian 12's packages:
#   apt-get install clang-16 lld-16 wasi-libc libclang-rt-16-dev-wasm32 \
#     libc++-16-dev-wasm32 libc++abi-16-dev-wasm32
#   cmake -B build -DCMAKE_TOOLCHAIN_FILE=PATH/atoll-wasi.cmake -DCMAKE_BUILD_TYPE=Release
# Programs are built as NAME.wasm and run by `atoll run NAME.wasm`. <atoll.h>, the header beside this
# file, is found by all of them. There are no exceptions, threads or setjmp.
# WASI_CLANG (cache or environment): the version of clang, default 16.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_EXECUTABLE_SUFFIX_C .wasm)
set(CMAKE_EXECUTABLE_SUFFIX_CXX .wasm)

if(NOT WASI_CLANG)
  set(WASI_CLANG 16)
  if(DEFINED ENV{WASI_CLANG})
    set(WASI_CLANG $ENV{WASI_CLANG})
  endif()
endif()
set(WASI_CLANG ${WASI_CLANG} CACHE STRING "version of clang for wasm32-wasi")
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES WASI_CLANG)

set(CMAKE_C_COMPILER clang-${WASI_CLANG})
set(CMAKE_CXX_COMPILER clang++-${WASI_CLANG})
set(CMAKE_AR llvm-ar-${WASI_CLANG})
set(CMAKE_RANLIB llvm-ranlib-${WASI_CLANG})
set(CMAKE_C_COMPILER_TARGET wasm32-wasi)
set(CMAKE_CXX_COMPILER_TARGET wasm32-wasi)
set(CMAKE_SYSROOT /usr)

# Bulk memory, sign extensions, conversions that don't trap: Atoll has them all.
set(features "-mbulk-memory -msign-ext -mnontrapping-fptoint -isystem ${CMAKE_CURRENT_LIST_DIR}")
# What WASI lacks and wasi-libc does in its own way: clock(), signal(), mmap(), getpid().
set(emulated
    "-D_WASI_EMULATED_PROCESS_CLOCKS -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_MMAN -D_WASI_EMULATED_GETPID"
)
set(CMAKE_C_FLAGS_INIT "${features} ${emulated}")
# Debian's clang does not look for libc++ there by itself. It must come before the C library.
set(CMAKE_CXX_FLAGS_INIT
    "-isystem /usr/include/wasm32-wasi/c++/v1 ${features} ${emulated} -fno-exceptions"
)
# A stack of 1 MiB in linear memory; the linker's own default is 64 KiB.
set(CMAKE_EXE_LINKER_FLAGS_INIT
    "-Wl,-z,stack-size=1048576 -lwasi-emulated-process-clocks -lwasi-emulated-signal -lwasi-emulated-mman -lwasi-emulated-getpid"
)

# Programs are the host's, libraries and headers only the target's.
set(CMAKE_FIND_ROOT_PATH /usr/lib/wasm32-wasi /usr/include/wasm32-wasi)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
