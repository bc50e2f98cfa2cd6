# Writes OUTPUT: architectures/ and recipes/ of ROOT as string literals in C++. The literals know their lengths: clang
# gives up on counting so many characters at compile time.
function(embed folder function)
  file(GLOB_RECURSE files RELATIVE ${ROOT}/${folder} ${ROOT}/${folder}/*.toml)
  list(SORT files)
  set(rows "")
  foreach(file IN LISTS files)
    file(READ ${ROOT}/${folder}/${file} text)
    string(REGEX REPLACE "\\.toml$" "" name "${file}")
    string(APPEND rows "    {\"${name}\"sv, R\"toml~(${text})toml~\"sv},\n")
  endforeach()
  string(APPEND rows "    {\"\", \"\"},\n")
  set(code "${code}\nstd::span<const EmbeddedFile> ${function}() {\n  static constexpr EmbeddedFile files[] = {\n${rows}  };\n  return std::span(files).first(std::size(files) - 1);\n}\n" PARENT_SCOPE)
endfunction()

set(code "")
embed(architectures embedded_specs)
embed(recipes embedded_recipes)
file(WRITE ${OUTPUT} "#include <iterator>\n\n#include \"spec/spec_library.h\"\n\nnamespace pippin {\nusing namespace std::string_view_literals;\n${code}\n}  // namespace pippin\n")
