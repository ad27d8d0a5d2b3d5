// Which sanitizer this is built with: ATOLL_ASAN, ATOLL_TSAN, and ATOLL_SANITIZED for any of them,
// 1 or 0.
#pragma once

#ifdef __has_feature
#define ATOLL_HAS_FEATURE(name) __has_feature(name)
#else
#define ATOLL_HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || ATOLL_HAS_FEATURE(address_sanitizer)
#define ATOLL_ASAN 1
#else
#define ATOLL_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__) || ATOLL_HAS_FEATURE(thread_sanitizer)
#define ATOLL_TSAN 1
#else
#define ATOLL_TSAN 0
#endif
#define ATOLL_SANITIZED (ATOLL_ASAN || ATOLL_TSAN)
