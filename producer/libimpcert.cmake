# libimpcert as others get it: a shared and a static library that show nothing but the functions of impcert.h, with a
# pkg-config file and a CMake package. All of it can be moved after it is installed.
include(CMakePackageConfigHelpers)

add_library(impcert SHARED $<TARGET_OBJECTS:impcert_objects>)
set_target_properties(impcert PROPERTIES
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}
  LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/libimpcert.map)
target_link_libraries(impcert PRIVATE impcert_common impcert_flags)
target_link_options(impcert PRIVATE
  LINKER:--as-needed LINKER:--version-script=${CMAKE_CURRENT_SOURCE_DIR}/libimpcert.map)
if(NOT IMPCERT_SANITIZE) # the runtime of a sanitizer is the program's
  target_link_options(impcert PRIVATE LINKER:--no-undefined)
endif()

# A program may have a log_setup of its own: in the static library ours is out of sight, too. That takes one object,
# of our objects and what they need of common/, since hidden names are still seen between objects.
set(whole ${CMAKE_CURRENT_BINARY_DIR}/libimpcert.o)
add_custom_command(OUTPUT ${whole}
  COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o ${whole}
    $<TARGET_OBJECTS:impcert_objects> $<TARGET_FILE:impcert_common>
  COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${whole}
  DEPENDS impcert_objects $<TARGET_OBJECTS:impcert_objects> impcert_common
  COMMAND_EXPAND_LISTS VERBATIM)
add_library(impcert_static STATIC ${whole})
set_source_files_properties(${whole} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
set_target_properties(impcert_static PROPERTIES LINKER_LANGUAGE C OUTPUT_NAME impcert EXPORT_NAME static)
target_link_libraries(impcert_static INTERFACE PkgConfig::RDKAFKA PkgConfig::JANSSON Threads::Threads)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/impcert)
install(TARGETS impcert EXPORT impcert-shared
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS impcert_static EXPORT impcert-static
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES include/impcert.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
# Two sets: who links the shared library needs no headers of librdkafka and jansson.
foreach(kind shared static)
  install(EXPORT impcert-${kind} NAMESPACE impcert:: DESTINATION ${package_dir} COMPONENT development)
endforeach()

configure_package_config_file(impcert-config.cmake.in impcert-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(impcert-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/impcert-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/impcert-config-version.cmake
  DESTINATION ${package_dir} COMPONENT development)

# From where the file stands to the prefix, which --prefix and DESTDIR may change later.
file(RELATIVE_PATH up_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
foreach(name impcert impcert-static)
  configure_file(${name}.pc.in ${name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
endforeach()
