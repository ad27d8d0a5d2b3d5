// A network that guests are given, behind rules: the host's, or another one. Sockets are made of
// it, and count against its limit until they are closed, whoever has them by then. Any thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "stdlib/net/rules.hpp"
#include "stdlib/vfs/vfs.hpp"
#include "vm/cap/object.hpp"
#include "vm/cap/rate.hpp"

namespace atollvm::net {

// All that a guest may do with a network that it is given.
inline constexpr cap::Rights network_rights =
    cap::right_connect | cap::right_listen | cap::right_datagrams | cap::right_resolve;

class Network;
class Socket;
enum class Type : u32 { stream = 1, datagrams = 2 };

// Where a network's sockets come from if they are not the host's. Any thread.
class Provider {
 public:
  virtual ~Provider() = default;
  // Counted by the network. Errors: nfile, nomem, netunreach (it is gone).
  virtual vfs::Outcome<std::shared_ptr<Socket>> open(const std::shared_ptr<Network>& network,
                                                     Family family, Type type) = 0;
  // The addresses of a canonical name; none: it does not know it.
  virtual std::vector<Address> resolve(const std::string& name) = 0;
};

class Network final : public cap::Object {
 public:
  // Takes lines that tell of what was refused, and why; any thread, one at a time.
  using Log = std::function<void(std::string_view line)>;
  static constexpr u32 max_lines = 100;

  // `provider`: null, the host. What names mean there is for the operator alone to say, so rules
  // with names allow whatever address they have.
  explicit Network(Rules rules, Log log = {}, std::shared_ptr<Provider> provider = nullptr)
      : Object(cap::Kind::network),
        rules_(std::move(rules)),
        log_(std::move(log)),
        provider_(std::move(provider)),
        bandwidth_(make_rate(rules_.bandwidth())),
        packets_(make_rate(rules_.packets())),
        names_(make_rate(rules_.names())) {}

  [[nodiscard]] const Rules& rules() const { return rules_; }
  [[nodiscard]] Provider* provider() const { return provider_.get(); }

  // Whether something is allowed; else the log is told.
  bool allows(Action action, const Endpoint& endpoint, std::string_view name = {});
  bool allows_resolving(std::string_view name);
  bool allows_resolving(Action action, std::string_view name, u16 port);

  // Tells the log of what is refused whatever the rules are. `host` is the guest's own text, or a
  // form of an endpoint.
  void refused(Action action, std::string_view host, u32 port, std::string_view why);
  void refused_lookup(std::string_view host, std::string_view why);

  // Counts a socket. False: there are as many as may be.
  bool take();
  void give() { sockets_.fetch_sub(1, std::memory_order_relaxed); }
  // What its rules allow in a second: bytes, of all sockets and in both directions; datagrams;
  // lookups. Null: they don't say.
  [[nodiscard]] const std::shared_ptr<cap::Rate>& bandwidth() const { return bandwidth_; }
  [[nodiscard]] const std::shared_ptr<cap::Rate>& packets() const { return packets_; }
  [[nodiscard]] const std::shared_ptr<cap::Rate>& names() const { return names_; }
  [[nodiscard]] u32 sockets() const { return sockets_.load(std::memory_order_relaxed); }

 private:
  static std::shared_ptr<cap::Rate> make_rate(u64 limit) {
    return limit == cap::Rate::unlimited ? nullptr : std::make_shared<cap::Rate>(limit);
  }
  void tell(const std::string& what, std::string_view why);

  const Rules rules_;
  const Log log_;
  const std::shared_ptr<Provider> provider_;
  const std::shared_ptr<cap::Rate> bandwidth_;
  const std::shared_ptr<cap::Rate> packets_;
  const std::shared_ptr<cap::Rate> names_;
  std::atomic<u32> sockets_{0};
  std::mutex mutex_;  // of the log
  u32 lines_ = 0;
};

}  // namespace atollvm::net
