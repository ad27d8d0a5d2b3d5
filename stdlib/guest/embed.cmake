# Writes OUTPUT, the C++ source of the table in guest.hpp, from the files MODULES.
set(rows "")
foreach(path ${MODULES})
  get_filename_component(name ${path} NAME_WE)
  file(READ ${path} text)
  string(LENGTH "${text}" length)
  # The longest string literal that compilers must take.
  if(length GREATER 65000)
    message(FATAL_ERROR "${path} has more than 65,000 bytes: split it")
  endif()
  # With its length, which compilers would have to count within a limit of steps.
  string(APPEND rows "    {\"std.${name}\", {R\"=====(${text})=====\", ${length}}},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made by embed.cmake.
#include \"stdlib/guest/guest.hpp\"

namespace atollvm::guest {

namespace {
constexpr Library table[] = {
${rows}};
}  // namespace

std::span<const Library> libraries() { return table; }

}  // namespace atollvm::guest
")
