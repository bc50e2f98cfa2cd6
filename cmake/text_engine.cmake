# The Rust library of src/text/engine, built by cargo from its locked crates, as the target pippin_text_engine.
# Sanitizers and build types do not reach into it, so all build folders may share one: PIPPIN_CARGO_TARGET.
find_program(CARGO_PROGRAM cargo PATHS $ENV{HOME}/.cargo/bin)
if(NOT CARGO_PROGRAM)
  message(FATAL_ERROR "cargo is missing. Run tools/bootstrap, or configure with -DPIPPIN_RUNTIME=OFF for the converter alone.")
endif()
set(PIPPIN_CARGO_TARGET ${PROJECT_BINARY_DIR}/rust CACHE PATH "Where cargo builds")

set(engine_folder ${PROJECT_SOURCE_DIR}/src/text/engine)
set(engine_library ${PIPPIN_CARGO_TARGET}/release/${CMAKE_STATIC_LIBRARY_PREFIX}pippin_text_engine${CMAKE_STATIC_LIBRARY_SUFFIX})
file(GLOB engine_sources CONFIGURE_DEPENDS ${engine_folder}/*.rs)
# RUSTONIG_SYSTEM_LIBONIG: the crate's own Oniguruma, the same on every machine.
add_custom_command(
  OUTPUT ${engine_library}
  COMMAND ${CMAKE_COMMAND} -E env RUSTONIG_SYSTEM_LIBONIG=0 CARGO_TARGET_DIR=${PIPPIN_CARGO_TARGET} CC=cc
          ${CARGO_PROGRAM} build --release --locked --quiet --manifest-path ${engine_folder}/Cargo.toml
  COMMAND ${CMAKE_COMMAND} -E touch ${engine_library}
  DEPENDS ${engine_sources} ${engine_folder}/Cargo.toml ${engine_folder}/Cargo.lock
  COMMENT "Building src/text/engine with cargo"
  USES_TERMINAL VERBATIM)
add_custom_target(pippin_text_engine_build DEPENDS ${engine_library})

add_library(pippin_text_engine INTERFACE)
add_dependencies(pippin_text_engine pippin_text_engine_build)
target_link_libraries(pippin_text_engine INTERFACE ${engine_library} Threads::Threads ${CMAKE_DL_LIBS})
if(NOT APPLE)
  target_link_libraries(pippin_text_engine INTERFACE m)
endif()
