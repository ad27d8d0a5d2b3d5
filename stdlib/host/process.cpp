// Arguments, environment variables, exit, and handles as such.
#include <string.h>

#include "stdlib/host/support.hpp"

namespace atollvm::host {
namespace {

HostResult text_size(HostContext& context, const std::vector<std::string>& texts) {
  const u32 index = context.arg_u32(0);
  if (index >= texts.size()) return context.error32(Errno::inval);
  return context.result_i32(static_cast<i32>(texts[index].size()));
}

HostResult text_get(HostContext& context, const std::vector<std::string>& texts) {
  const auto to = context.memory(context.arg_u32(1), context.arg_u32(2));
  if (!to) return context.error32(Errno::fault);
  const u32 index = context.arg_u32(0);
  if (index >= texts.size()) return context.error32(Errno::inval);
  const std::string& text = texts[index];
  if (text.size() > to->size()) return context.error32(Errno::range);
  if (!text.empty()) memcpy(to->data(), text.data(), text.size());
  return context.result_i32(static_cast<i32>(text.size()));
}

}  // namespace

HostResult call_args_count(Environment& environment, HostContext& context) {
  return context.result_i32(static_cast<i32>(environment.arguments.size()));
}

HostResult call_args_size(Environment& environment, HostContext& context) {
  return text_size(context, environment.arguments);
}

HostResult call_args_get(Environment& environment, HostContext& context) {
  return text_get(context, environment.arguments);
}

HostResult call_env_count(Environment& environment, HostContext& context) {
  return context.result_i32(static_cast<i32>(environment.variables.size()));
}

HostResult call_env_size(Environment& environment, HostContext& context) {
  return text_size(context, environment.variables);
}

HostResult call_env_get(Environment& environment, HostContext& context) {
  return text_get(context, environment.variables);
}

HostResult call_exit(Environment&, HostContext& context) {
  return HostResult::exited(context.arg_u32(0));
}

HostResult call_close(Environment&, HostContext& context) {
  return context.error32(context.handles().close(context.arg_u32(0)));
}

HostResult call_handle_rights(Environment&, HostContext& context) {
  const cap::Capability* const found = context.handles().find(context.arg_u32(0));
  if (found == nullptr) return context.error32(Errno::badf);
  if (found->is_revoked()) return context.error32(Errno::notcapable);
  return context.result_i32(static_cast<i32>(found->rights));
}

HostResult call_handle_attenuate(Environment&, HostContext& context) {
  return give_handle(context, context.handles().attenuate(context.arg_u32(0), context.arg_u32(1)));
}

HostResult call_revoker_make(Environment&, HostContext& context) {
  return give_handle(
      context, context.handles().insert({std::make_shared<cap::Revoker>(), cap::right_revoke}));
}

HostResult call_handle_revocable(Environment&, HostContext& context) {
  const auto found = context.handles().find(context.arg_u32(1), Kind::revoker, cap::rights_none);
  if (const Errno* error = std::get_if<Errno>(&found)) return context.error32(*error);
  // As long as it is revocable itself, what depends on it ends with it.
  const cap::Capability& by = *std::get<cap::Capability*>(found);
  const auto revocation = cap::Revocation::both(
      static_cast<const cap::Revoker&>(*by.object).revocation(), by.revocation);
  if (!revocation) return context.error32(Errno::mlink);
  return give_handle(
      context, context.handles().attenuate(context.arg_u32(0), context.arg_u32(2), *revocation));
}

HostResult call_revoke(Environment&, HostContext& context) {
  static_cast<cap::Revoker&>(*context.capability().object).revoke();
  return context.result_i32(0);
}

}  // namespace atollvm::host
