# The MLX C++ library: one that find_package finds by MLX_DIR or CMAKE_PREFIX_PATH, else that of the Python wheels,
# which tools/mlx_library fetches into build/mlx.
find_package(MLX CONFIG QUIET)
if(NOT MLX_FOUND)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  execute_process(
    COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/mlx_library ${PROJECT_SOURCE_DIR}/build/mlx
    OUTPUT_VARIABLE PIPPIN_MLX_DIR OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  find_package(MLX CONFIG REQUIRED PATHS ${PIPPIN_MLX_DIR} NO_DEFAULT_PATH)
endif()
