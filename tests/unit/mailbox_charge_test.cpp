// What mailboxes charge while their receivers take messages out.
#include <doctest/doctest.h>

#include <mutex>
#include <thread>

#include "scheduler/core/message.hpp"

using namespace atollvm;
using sched::Mailbox;
using sched::Message;
using sched::MessagePtr;

TEST_CASE("mailbox: a message is paid for while the receiver takes others out") {
  constexpr u32 count = 300'000;
  cap::Meter memory;
  u32 refused = 0;
  {
    Mailbox mailbox;
    std::mutex lock;  // of the receiver's place
    std::thread receiver([&] {
      for (u32 taken = 0; taken < count;) {
        {
          const std::lock_guard guard(lock);
          mailbox.collect();
          mailbox.settle(memory, /*ahead=*/true);
        }
        u32 budget = 100;
        while (mailbox.find(sched::tag_any, budget) != nullptr) {
          mailbox.take();
          ++taken;
        }
      }
    });
    for (u32 i = 0; i < count; ++i) {
      MessagePtr message(Message::make(i % 700));
      const std::lock_guard guard(lock);
      if (!mailbox.pay(memory, *message)) ++refused;
      mailbox.append(std::move(message));
    }
    receiver.join();
    CHECK(refused == 0);
    mailbox.settle(memory, /*ahead=*/false);
    CHECK(mailbox.paid() == 0);
  }
  CHECK(memory.used() == 0);
}
