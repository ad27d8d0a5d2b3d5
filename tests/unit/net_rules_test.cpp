// Rules of networks: how they are written, and which addresses they allow.
#include "stdlib/net/rules.hpp"

#include <doctest/doctest.h>

using namespace atollvm;
using net::Action;
using net::Rules;

namespace {

net::Address address(std::string_view text) {
  const auto parsed = net::parse_address(text);
  REQUIRE_MESSAGE(parsed.has_value(), text);
  return *parsed;
}

Rules rules(std::string_view text) {
  auto parsed = Rules::parse(text);
  REQUIRE_MESSAGE(parsed.ok(), text);
  return *std::move(parsed);
}

bool allows(std::string_view text, std::string_view host, u16 port = 443,
            Action action = Action::connect, std::string_view name = {}) {
  return !rules(text).refuses(action, {address(host), port}, name);
}

std::string why(std::string_view text, std::string_view host, u16 port = 443,
                std::string_view name = {}) {
  return rules(text).refuses(Action::connect, {address(host), port}, name).value_or("");
}

}  // namespace

TEST_CASE("network addresses: exactly one way to write each") {
  for (const char* const good : {"127.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1",
                                 "2001:db8::1", "fe80::1", "1:2:3:4:5:6:7:8"}) {
    CHECK(net::to_text(address(good)) == good);
  }
  CHECK(net::to_text(address("::ffff:10.0.0.1")) == "10.0.0.1");
  CHECK(net::to_text(address("::FFFF:0a00:0001")) == "10.0.0.1");
  CHECK(net::to_text(address("2001:DB8:0:0::1")) == "2001:db8::1");
  CHECK(address("::ffff:127.0.0.1") == address("127.0.0.1"));
  for (const char* const bad :
       {"",           "127.1",      "2130706433",       "0x7f.0.0.1",  "0x7f000001", "0177.0.0.1",
        "127.0.0.01", "127.0.0.1 ", " 127.0.0.1",       "127.0.0.256", "127.0.0",    "127.0.0.1.",
        "1.2.3.4.5",  "[::1]",      "fe80::1%eth0",     "fe80::1%1",   "::1/128",    "12345::",
        ":::",        "1::2::3",    "::ffff:010.0.0.1", "localhost",   "+1.2.3.4",   "1.2.3.-4"}) {
    CHECK_FALSE_MESSAGE(net::parse_address(bad).has_value(), bad);
  }
  CHECK_FALSE(net::parse_address(std::string_view("127.0.0.1\0", 10)).has_value());
  CHECK(net::to_text(net::Endpoint{address("::1"), 80}) == "[::1]:80");
}

TEST_CASE("network addresses: with a port") {
  for (const char* const text : {"127.0.0.1:0", "10.0.0.1:65535", "[::1]:80", "[2001:db8::]:443"}) {
    CAPTURE(text);
    const auto endpoint = net::parse_endpoint(text);
    REQUIRE(endpoint.has_value());
    CHECK(to_text(*endpoint) == text);
  }
  for (const char* const text : {"",
                                 ":",
                                 "80",
                                 ":80",
                                 "127.0.0.1",
                                 "127.0.0.1:",
                                 "127.0.0.1:65536",
                                 "127.0.0.1:-1",
                                 "127.0.0.1:+1",
                                 "127.0.0.1:1 ",
                                 "[127.0.0.1]:1",
                                 "[::1]:1x",
                                 "[::1",
                                 "::1:80",
                                 "[::1]",
                                 "[::1:80",
                                 "[]:80",
                                 "localhost:80",
                                 "*:80",
                                 "127.1:80"}) {
    CAPTURE(text);
    CHECK(!net::parse_endpoint(text).has_value());
  }
}

TEST_CASE("network names: what could be a number is none") {
  CHECK(net::canonical_name("Example.ORG.") == "example.org");
  CHECK(net::canonical_name("a-b_c.x1") == "a-b_c.x1");
  CHECK(net::canonical_name("1e100.net") == "1e100.net");
  for (const char* const bad :
       {"", ".", "a..b", ".a", "-a", "a-", "127.1", "1", "0x7f.1", "0x7f", "017700000001", "a.0x",
        "a.1", "a b", "a/b", "a:1", "a%b", "b\303\274cher.de", "a.-b"}) {
    CHECK_FALSE_MESSAGE(net::canonical_name(bad).has_value(), bad);
  }
  CHECK_FALSE(net::canonical_name(std::string(64, 'a')).has_value());
  CHECK(net::canonical_name(std::string(63, 'a')).has_value());
  std::string longest;
  while (longest.size() < 254) longest += "a.";
  CHECK_FALSE(net::canonical_name(longest + "b").has_value());
}

TEST_CASE("network rules: the canonical form") {
  const std::pair<const char*, const char*> forms[] = {
      {"connect:example.org:443", "connect:example.org:443"},
      {"connect:EXAMPLE.org.:443-443", "connect:example.org:443"},
      {"connect:[2001:DB8:0::/32]:80-90", "connect:[2001:db8::/32]:80-90"},
      {"connect:10.0.0.1/32:1-65535", "connect:10.0.0.1:*"},
      {"connect:[::ffff:10.0.0.0/104]:1", "connect:10.0.0.0/8:1"},
      {"connect:[::1/128]:1", "connect:[::1]:1"},
      {"listen:127.0.0.1:8080, udp:10.0.0.0/8:53 ,dns",
       "listen:127.0.0.1:8080,udp:10.0.0.0/8:53,dns"},
      {"listen:*:0", "listen:*:0"},
      {"udp-listen:0.0.0.0:53", "udp-listen:0.0.0.0:53"},
      {"connect:public:*,connect:public:*,connect:*:1", "connect:public:*,connect:*:1"},
      {"dns,dns", "dns"},
      {"connections=7,dns", "dns,connections=7"},
      {"connections=256", "connections=256"},
      {"names=5, bandwidth=2M/s,packets=100/s", "bandwidth=2097152,packets=100,names=5"},
      {"dns,bandwidth=500k,connections=2", "dns,connections=2,bandwidth=512000"},
  };
  for (const auto& [text, canonical] : forms) {
    CHECK(rules(text).text() == canonical);
    CHECK(rules(rules(text).text()).text() == canonical);
  }
}

TEST_CASE("network rules: mistakes are told with the rule and what to write") {
  const std::pair<const char*, const char*> mistakes[] = {
      {"", "a rule is empty"},
      {"dns,", "a rule is empty"},
      {"connct:a:1", "did you mean `connect`?"},
      {"DNS", "there is no rule `DNS`"},
      {"dns:example.org", "write dns alone"},
      {"connect", "write connect:HOST:PORTS"},
      {"connect:a", "write connect:HOST:PORTS"},
      {"connect:a:", "write connect:HOST:PORTS"},
      {"connect::80", "write connect:HOST:PORTS"},
      {"listen:8080", "write listen:ADDRESS:PORTS"},
      {"connect:a:http", "are no ports"},
      {"connect:a:080", "are no ports"},
      {"connect:a:65536", "are no ports"},
      {"connect:a:+80", "are no ports"},
      {"connect:a:80-", "are no ports"},
      {"connect:a:90-80", "end before they begin"},
      {"connect:a:0", "no port 0"},
      {"connect:a:0-80", "no port 0"},
      {"listen:127.0.0.1:0-80", "a rule of its own"},
      {"connect:::1:80", "in brackets"},
      {"connect:[::1:80", "write connect:HOST:PORTS"},
      {"connect:[::1]80", "write connect:HOST:PORTS"},
      {"connect:[127.0.0.1]:80", "only IPv6 addresses are in brackets"},
      {"connect:[fe80::1%eth0]:80", "scope"},
      {"connect:10.0.0.1/8:80", "10.0.0.0/8"},
      {"connect:[2001:db8::1/32]:80", "2001:db8::/32"},
      {"connect:10.0.0.0/33:80", "no length of a prefix: it is 0 to 32"},
      {"connect:10.0.0.0/08:80", "no length of a prefix"},
      {"connect:10.0.0.0/:80", "no length of a prefix"},
      {"connect:[::ffff:0.0.0.0/95]:80", "96 bits or more"},
      {"connect:example.org/8:80", "is no address"},
      {"connect:0x7f.1:80", "neither an address"},
      {"connect:010.0.0.1:80", "neither an address"},
      {"connect:2130706433:80", "neither an address"},
      {"connect:*.example.org:80", "neither an address"},
      {"connect:Public:80", "is a word"},
      {"udp:public.:80", "is a word"},
      {"listen:localhost:80", "takes an address of this host"},
      {"listen:public:80", "takes an address of this host"},
      {"connections=", "write connections=N"},
      {"connections=1,connections=2", "twice"},
      {"connections=65537", "write connections=N"},
      {"connections=1/s", "write connections=N"},
      {"bandwidth", "there is no rule"},
      {"bandwidth=0", "write bandwidth=SIZE"},
      {"bandwidth=k", "write bandwidth=SIZE"},
      {"bandwidth=1kk", "write bandwidth=SIZE"},
      {"bandwidth=/s", "write bandwidth=SIZE"},
      {"bandwidth=65537G", "write bandwidth=SIZE"},
      {"bandwidth=1,bandwidth=70368744177664", "twice"},
      {"packets=1k", "write packets=N"},
      {"packets=-1", "write packets=N"},
      {"names=0", "write names=N"},
      {"names=1,dns,names=1", "twice"},
      {"connect:\x1b[31m:1", "neither an address"},
  };
  for (const auto& [text, part] : mistakes) {
    const auto parsed = Rules::parse(text);
    REQUIRE_FALSE_MESSAGE(parsed.ok(), text);
    CHECK_MESSAGE(parsed.error().message.find(part) != std::string::npos, parsed.error().text());
    CHECK(parsed.error().text().find('\x1b') == std::string::npos);
  }
  std::string many = "connect:a:1";
  for (u32 i = 2; i < 1100; ++i) many += ",connect:a:" + std::to_string(i);
  CHECK_FALSE(Rules::parse(many).ok());
  CHECK_FALSE(Rules::parse(std::string(70'000, 'a')).ok());
}

TEST_CASE("network rules: nothing is allowed that no rule names") {
  CHECK_FALSE(allows("dns", "93.184.215.14"));
  CHECK_FALSE(allows("listen:*:*", "93.184.215.14"));
  CHECK_FALSE(allows("udp:*:*", "93.184.215.14"));
  CHECK_FALSE(allows("connect:*:*", "127.0.0.1", 80, Action::listen));
  CHECK_FALSE(allows("connect:*:*", "127.0.0.1", 80, Action::udp));
  CHECK_FALSE(allows("udp:*:*", "127.0.0.1", 80, Action::udp_listen));
  CHECK(allows("connect:*:*", "93.184.215.14"));
  CHECK(allows("connect:*:443", "93.184.215.14"));
  CHECK_FALSE(allows("connect:*:80", "93.184.215.14"));
  CHECK(allows("connect:*:400-500", "93.184.215.14"));
  CHECK_FALSE(allows("connect:*:*", "93.184.215.14", 0));
  CHECK_FALSE(allows("connect:public:*", "127.0.0.1"));
  CHECK_FALSE(allows("connect:public:*", "192.168.1.1"));
  CHECK_FALSE(allows("connect:public:*", "::1"));
  CHECK_FALSE(allows("connect:public:*", "fd00::1"));
  CHECK(allows("connect:public:*", "2606:2800:21f::1"));
  CHECK(why("connect:*:80", "93.184.215.14") == "no rule allows it");
}

TEST_CASE("network rules: prefixes") {
  CHECK(allows("connect:10.0.0.0/8:*", "10.255.0.1"));
  CHECK_FALSE(allows("connect:10.0.0.0/8:*", "11.0.0.1"));
  CHECK(allows("connect:192.168.4.0/22:*", "192.168.7.255"));
  CHECK_FALSE(allows("connect:192.168.4.0/22:*", "192.168.8.0"));
  CHECK(allows("connect:[2001:db8::/33]:*", "2001:db8:7fff::1"));
  CHECK_FALSE(allows("connect:[2001:db8::/33]:*", "2001:db8:8000::1"));
  CHECK_FALSE(allows("connect:0.0.0.0/0:*", "2606:2800:21f::1"));
  CHECK_FALSE(allows("connect:[::/0]:*", "93.184.215.14"));
  CHECK(allows("connect:[::/0]:*", "::1"));
}

TEST_CASE("network rules: an IPv4 address in IPv6's clothes is what it is") {
  CHECK_FALSE(allows("connect:[::/0]:*", "::ffff:127.0.0.1"));
  CHECK(allows("connect:127.0.0.1:*", "::ffff:127.0.0.1"));
  CHECK_FALSE(allows("connect:public:*", "::ffff:127.0.0.1"));
  // Forms that the host or a router may translate.
  for (const char* const other : {"::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1",
                                  "2002:7f00:1::1", "2001:0:7f00:1::"}) {
    CAPTURE(other);
    CHECK_FALSE(allows("connect:*:*,connect:[::/0]:*,connect:public:*", other));
    CHECK(allows(std::string("connect:[") + other + "]:*", other));
  }
}

TEST_CASE("network rules: special addresses need a rule that names them") {
  const std::pair<const char*, const char*> ranges[] = {{"0.0.0.0", "0.0.0.0"},
                                                        {"0.1.2.3", "0.0.0.0/8"},
                                                        {"169.254.169.254", "169.254.0.0/16"},
                                                        {"224.0.0.1", "224.0.0.0/4"},
                                                        {"239.255.255.255", "239.0.0.0/8"},
                                                        {"255.255.255.255", "255.255.255.255"},
                                                        {"240.0.0.1", "240.0.0.0/4"},
                                                        {"::", "[::]"},
                                                        {"fe80::1", "[fe80::/10]"},
                                                        {"ff02::1", "[ff00::/8]"},
                                                        {"fec0::1", "[fec0::/10]"}};
  for (const auto& [each, range] : ranges) {
    CAPTURE(each);
    const std::string wide = "connect:*:*,connect:public:*,connect:0.0.0.0/0:*,connect:[::/0]:*";
    CHECK_FALSE(allows(wide, each));
    CHECK(why(wide, each).find("no rule names this address, which is") == 0);
    CHECK(allows(std::string("connect:") + range + ":*", each));
  }
  CHECK_FALSE(allows("connect:128.0.0.0/1:*", "169.254.169.254"));
  CHECK_FALSE(allows("connect:169.0.0.0/8:*", "169.254.169.254"));
  CHECK_FALSE(allows("connect:224.0.0.0/3:*", "255.255.255.255"));
  // To listen everywhere is what `*` says.
  CHECK(allows("listen:*:80", "0.0.0.0", 80, Action::listen));
  CHECK(allows("listen:*:80", "::", 80, Action::listen));
  CHECK_FALSE(allows("listen:0.0.0.0/0:80", "0.0.0.0", 80, Action::listen));
  CHECK_FALSE(allows("listen:*:80", "224.0.0.1", 80, Action::listen));
  CHECK_FALSE(allows("listen:*:*", "127.0.0.1", 0, Action::listen));
  CHECK(allows("listen:*:0", "127.0.0.1", 0, Action::listen));
}

TEST_CASE("network rules: a name allows what is public, at the time of the call") {
  const auto by_name = [](std::string_view text, std::string_view host, std::string_view name,
                          u16 port = 443) {
    return allows(text, host, port, Action::connect, name);
  };
  CHECK(by_name("connect:example.org:443", "93.184.215.14", "example.org"));
  CHECK_FALSE(by_name("connect:example.org:443", "93.184.215.14", "example.org", 444));
  CHECK_FALSE(by_name("connect:example.org:443", "93.184.215.14", "www.example.org"));
  CHECK_FALSE(by_name("connect:example.org:443", "93.184.215.14", ""));
  // Rebinding: its owner has it resolve to something within.
  for (const char* const inside :
       {"127.0.0.1", "::1", "10.0.0.1", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0",
        "::", "fd00::1", "fe80::1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "100.64.0.1"}) {
    CAPTURE(inside);
    CHECK_FALSE(by_name("connect:example.org:443", inside, "example.org"));
  }
  CHECK(by_name("connect:example.org:443,connect:10.0.0.0/8:443", "10.0.0.1", "example.org"));
  CHECK(by_name("connect:10.0.0.0/8:443", "10.0.0.1", "example.org"));
  CHECK(why("connect:example.org:443", "10.0.0.1", 443, "example.org") ==
        "the rule for example.org allows public addresses only");
  CHECK(by_name("connect:localhost:443", "127.0.0.1", "localhost"));
  CHECK(by_name("connect:x.localhost:443", "::1", "x.localhost"));
  CHECK_FALSE(by_name("connect:localhost:443", "93.184.215.14", "localhost"));
  CHECK_FALSE(by_name("connect:localhost:443", "127.0.0.1", ""));

  CHECK(rules("connect:a.org:443").may_resolve(Action::connect, "a.org", 443));
  CHECK_FALSE(rules("connect:a.org:443").may_resolve(Action::connect, "a.org", 80));
  CHECK_FALSE(rules("connect:a.org:443").may_resolve(Action::connect, "b.org", 443));
  CHECK_FALSE(rules("connect:a.org:443").may_resolve(Action::udp, "a.org", 443));
  CHECK_FALSE(rules("connect:a.org:443").may_resolve("b.org"));
  CHECK(rules("udp:a.org:443").may_resolve("a.org"));
  CHECK(rules("dns").may_resolve("b.org"));
  CHECK_FALSE(rules("connect:*:443").may_resolve(Action::connect, "a.org", 443));
  CHECK(rules("dns").may_resolve(Action::connect, "a.org", 443));
}
