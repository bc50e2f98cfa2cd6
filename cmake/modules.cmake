# One static library a folder of src/, linked by cmake/dependencies.txt.
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/dependencies.txt PIPPIN_DEPENDENCY_ROWS REGEX "^[a-z]")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/dependencies.txt)
foreach(row IN LISTS PIPPIN_DEPENDENCY_ROWS)
  string(REGEX MATCH "^([a-z]+):(.*)$" _ "${row}")
  string(STRIP "${CMAKE_MATCH_2}" folders)
  string(REPLACE " " ";" PIPPIN_DEPENDS_${CMAKE_MATCH_1} "${folders}")
endforeach()

# pippin_module(NAME [external libraries...]): src/NAME/*.cpp as the library pippin_NAME.
function(pippin_module name)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cpp)
  list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/src/${name}/main.cpp)
  if(sources)
    add_library(pippin_${name} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(pippin_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_link_libraries(pippin_${name} ${scope} pippin_public ${ARGN})
  foreach(folder IN LISTS PIPPIN_DEPENDS_${name})
    target_link_libraries(pippin_${name} ${scope} pippin_${folder})
  endforeach()
endfunction()

# Builds architectures/ and recipes/ into the library pippin_NAME, so that the program is one file.
function(pippin_embed name)
  file(GLOB_RECURSE specs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/architectures/*.toml ${PROJECT_SOURCE_DIR}/recipes/*.toml)
  set(output ${PROJECT_BINARY_DIR}/generated/embedded_files.cpp)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} -DOUTPUT=${output} -P ${PROJECT_SOURCE_DIR}/cmake/embed_files.cmake
    DEPENDS ${specs} ${PROJECT_SOURCE_DIR}/cmake/embed_files.cmake
    VERBATIM)
  target_sources(pippin_${name} PRIVATE ${output})
endfunction()
