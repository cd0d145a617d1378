# Finds mbedTLS 2.28 or 3.x. Gives MbedTLS_FOUND, MbedTLS_VERSION and the target MbedTLS::MbedTLS (tls, x509, crypto).
# MBEDTLS_ROOT names an installation of another place.

find_path(MbedTLS_INCLUDE_DIR mbedtls/ssl.h HINTS ${MBEDTLS_ROOT}/include)
find_library(MbedTLS_TLS_LIBRARY mbedtls HINTS ${MBEDTLS_ROOT}/lib)
find_library(MbedTLS_X509_LIBRARY mbedx509 HINTS ${MBEDTLS_ROOT}/lib)
find_library(MbedTLS_CRYPTO_LIBRARY mbedcrypto HINTS ${MBEDTLS_ROOT}/lib)
mark_as_advanced(MbedTLS_INCLUDE_DIR MbedTLS_TLS_LIBRARY MbedTLS_X509_LIBRARY MbedTLS_CRYPTO_LIBRARY)

# 2.28 keeps its version in version.h, 3.x in build_info.h.
if(MbedTLS_INCLUDE_DIR)
  foreach(file build_info.h version.h)
    if(NOT MbedTLS_VERSION AND EXISTS ${MbedTLS_INCLUDE_DIR}/mbedtls/${file})
      file(STRINGS ${MbedTLS_INCLUDE_DIR}/mbedtls/${file} line REGEX "define[ \t]+MBEDTLS_VERSION_STRING[ \t]+\"")
      string(REGEX MATCH "[0-9]+[.][0-9]+[.][0-9]+" MbedTLS_VERSION "${line}")
    endif()
  endforeach()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(MbedTLS
  REQUIRED_VARS MbedTLS_TLS_LIBRARY MbedTLS_X509_LIBRARY MbedTLS_CRYPTO_LIBRARY MbedTLS_INCLUDE_DIR
  VERSION_VAR MbedTLS_VERSION)

if(MbedTLS_FOUND AND NOT TARGET MbedTLS::MbedTLS)
  add_library(MbedTLS::MbedTLS INTERFACE IMPORTED GLOBAL)
  set(libraries ${MbedTLS_TLS_LIBRARY} ${MbedTLS_X509_LIBRARY} ${MbedTLS_CRYPTO_LIBRARY})
  if(WIN32)
    list(APPEND libraries ws2_32 bcrypt)
  endif()
  set_target_properties(MbedTLS::MbedTLS PROPERTIES INTERFACE_LINK_LIBRARIES "${libraries}")
  if(NOT MbedTLS_INCLUDE_DIR STREQUAL "/usr/include")
    set_target_properties(MbedTLS::MbedTLS PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${MbedTLS_INCLUDE_DIR}
      INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${MbedTLS_INCLUDE_DIR})
  endif()
endif()
