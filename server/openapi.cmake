# openapi.cmake - writes a file as one C text. cmake -DFROM=openapi.yaml -DTO=openapi_text.h -P openapi.cmake
file(READ "${FROM}" bytes HEX)
string(LENGTH "${bytes}" digits)
# An array of bytes: a text of this length is more than C promises for one literal.
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
string(REGEX REPLACE "('..[0-9a-f][0-9a-f]',){20}" "\\0\n    " bytes "${bytes}")
file(WRITE "${TO}" "/* Made from openapi.yaml. */\nstatic const char openapi_text[] = {\n    ${bytes}0};\n")
