// fake_serve PATH: serves machines that do nothing on a control socket, for tests/cli/control.sh.
// Lines of standard input change them: `log MACHINE TEXT`, `cpu MACHINE MS`, `processes MACHINE N`,
// `stop`. Each is answered with "ok" when it has been done. The end of the input ends it.
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>

#include "scheduler/machine/server.hpp"
#include "tests/support/fake_operator.hpp"

int main(int argc, char** argv) {
  using namespace atollvm;
  if (argc != 2) return 2;
  test::FakeOperator machines;
  auto server = machine::Server::start({argv[1]}, machines);
  if (!server.ok()) {
    std::fprintf(stderr, "fake_serve: %s\n", server.error().text().c_str());
    return 1;
  }
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what;
    std::string machine;
    words >> what >> machine >> std::ws;
    if (what == "stop") break;
    if (what == "log") {
      std::string text;
      std::getline(words, text);
      machines.log(machine, machine::LogStream::error, 7, text);
    } else {
      u64 number = 0;
      words >> number;
      what == "cpu" ? machines.set_cpu(machine, number * 1'000'000)
                    : machines.set_processes(machine, number);
    }
    std::cout << "ok" << std::endl;
  }
  return 0;
}
