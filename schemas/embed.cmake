# cmake -D INPUT=FILE -D OUTPUT=FILE.c -D HEADER=FILE.h -D NAME=SYMBOL -P embed.cmake
# Writes the bytes of a file as a C array with a closing NUL. Not as a string literal, which compilers need to take
# only up to 4,095 characters.
file(READ "${INPUT}" bytes HEX)
string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${bytes}")
string(REPLACE "'\\x0a'," "'\\x0a',\n" bytes "${bytes}")
file(WRITE "${OUTPUT}" "#include \"${HEADER}\"\n\nconst char ${NAME}[] = {\n${bytes}'\\0'};\n")
