# Finds what necpnet can use, and makes one option NECPNET_WITH_X for each: ON when found, an error when asked for and
# absent. Each found library is an imported target necpnet_dep::x.

set(NECPNET_ADAPTERS MBEDTLS LZ4 OPUS SPEEXDSP ZLIB CJSON SODIUM)
if(EMSCRIPTEN)
  # tools/wasm_deps.sh builds these from Debian's source packages.
  list(APPEND CMAKE_FIND_ROOT_PATH ${CMAKE_CURRENT_SOURCE_DIR}/build/wasm-deps)
endif()

# necpnet_find(NAME x HEADER h LIBRARIES l... [SUFFIXES s...] APT package)
function(necpnet_find)
  cmake_parse_arguments(FIND "" "NAME;HEADER;APT" "LIBRARIES;SUFFIXES" ${ARGN})
  string(TOLOWER ${FIND_NAME} target)
  find_path(NECPNET_${FIND_NAME}_INCLUDE ${FIND_HEADER} PATH_SUFFIXES ${FIND_SUFFIXES})
  set(found ${NECPNET_${FIND_NAME}_INCLUDE})
  set(files "")
  foreach(library ${FIND_LIBRARIES})
    find_library(NECPNET_${FIND_NAME}_LIBRARY_${library} ${library})
    mark_as_advanced(NECPNET_${FIND_NAME}_LIBRARY_${library})
    list(APPEND files "${NECPNET_${FIND_NAME}_LIBRARY_${library}}")
    if(NOT NECPNET_${FIND_NAME}_LIBRARY_${library})
      set(found FALSE)
    endif()
  endforeach()
  mark_as_advanced(NECPNET_${FIND_NAME}_INCLUDE)
  set(NECPNET_APT_${FIND_NAME} ${FIND_APT} PARENT_SCOPE)
  if(found)
    set(NECPNET_FOUND_${FIND_NAME} ON PARENT_SCOPE)
    if(NOT TARGET necpnet_dep::${target})
      add_library(necpnet_dep::${target} INTERFACE IMPORTED GLOBAL)
      set_target_properties(necpnet_dep::${target} PROPERTIES INTERFACE_LINK_LIBRARIES "${files}")
      if(NOT NECPNET_${FIND_NAME}_INCLUDE MATCHES "^/usr/include$")
        set_target_properties(necpnet_dep::${target} PROPERTIES
          INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${NECPNET_${FIND_NAME}_INCLUDE}"
          INTERFACE_INCLUDE_DIRECTORIES "${NECPNET_${FIND_NAME}_INCLUDE}")
      endif()
    endif()
  else()
    set(NECPNET_FOUND_${FIND_NAME} OFF PARENT_SCOPE)
  endif()
endfunction()

# mbedTLS 2.28 and 3.6 alike: FindMbedTLS.cmake beside this file.
find_package(MbedTLS 2.28 QUIET)
set(NECPNET_APT_MBEDTLS libmbedtls-dev)
set(NECPNET_FOUND_MBEDTLS ${MbedTLS_FOUND})
if(MbedTLS_FOUND AND NOT TARGET necpnet_dep::mbedtls)
  add_library(necpnet_dep::mbedtls INTERFACE IMPORTED GLOBAL)
  set_target_properties(necpnet_dep::mbedtls PROPERTIES INTERFACE_LINK_LIBRARIES MbedTLS::MbedTLS)
endif()

necpnet_find(NAME LZ4 HEADER lz4.h LIBRARIES lz4 APT liblz4-dev)
necpnet_find(NAME OPUS HEADER opus/opus.h LIBRARIES opus APT libopus-dev)
necpnet_find(NAME SPEEXDSP HEADER speex/speex_resampler.h LIBRARIES speexdsp APT libspeexdsp-dev)
necpnet_find(NAME ZLIB HEADER zlib.h LIBRARIES z APT zlib1g-dev)
necpnet_find(NAME CJSON HEADER cJSON.h SUFFIXES cjson LIBRARIES cjson APT libcjson-dev)
necpnet_find(NAME SODIUM HEADER sodium.h LIBRARIES sodium APT libsodium-dev)

foreach(name ${NECPNET_ADAPTERS})
  option(NECPNET_WITH_${name} "Build with ${name}" ${NECPNET_FOUND_${name}})
  if(NECPNET_WITH_${name} AND NOT NECPNET_FOUND_${name})
    message(FATAL_ERROR "NECPNET_WITH_${name} is ON and the library is not found.\n"
      "  fix: apt-get install ${NECPNET_APT_${name}} (or tools/setup.sh), or -DNECPNET_WITH_${name}=OFF")
  endif()
endforeach()

# What products use beside the library: each a target necpnet_dep::x and a variable NECPNET_FOUND_X.
if(NOT EMSCRIPTEN)
  necpnet_find(NAME CIVETWEB HEADER civetweb.h LIBRARIES civetweb APT libcivetweb-dev)
  necpnet_find(NAME JWT HEADER jwt.h LIBRARIES jwt APT libjwt-dev)
  necpnet_find(NAME SQLITE HEADER sqlite3.h LIBRARIES sqlite3 APT libsqlite3-dev)
  necpnet_find(NAME ENET HEADER enet/enet.h LIBRARIES enet APT libenet-dev)
  necpnet_find(NAME WEBSOCKETS HEADER libwebsockets.h LIBRARIES websockets APT libwebsockets-dev)
endif()
