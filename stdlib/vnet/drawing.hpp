// A network as its operator sees it: switches with what is on them, faults, partitions.
#pragma once

#include <string>

#include "stdlib/vnet/fabric.hpp"

namespace atollvm::vnet {

// The faults of one direction: "10 ms +- 2 ms, 1 Mbit/s, loss 0.5%", "down"; empty: it has none.
std::string to_text(const LinkSettings& settings);

// A tree for each switch, in lines.
std::string draw_text(const Fabric& fabric);
// An SVG document: switches are bars, nodes boxes, routers on several bars; links with faults have
// another colour, and tell of them where a pointer rests.
std::string draw_svg(const Fabric& fabric);

}  // namespace atollvm::vnet
