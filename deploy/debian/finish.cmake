# Between installing and packing: what Debian's packages have otherwise than a prefix, and nothing in them that tells
# when or where they were built.
set(staged ${CPACK_TEMPORARY_DIRECTORY})
function(finish)
  execute_process(COMMAND find ${staged} ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

finish(-path "*/share/man/*" -type f -exec gzip -9n {} +)
finish(-name "*.a" -exec strip --strip-debug --enable-deterministic-archives {} +)
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  finish(-exec touch --no-dereference --date=@$ENV{SOURCE_DATE_EPOCH} {} +)
endif()
