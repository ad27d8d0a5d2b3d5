/* The store's functions for guests in C (clang, target wasm32); see ../functions.h. */
#ifndef KV_H
#define KV_H

#define KV(name) __attribute__((import_module("kv"), import_name(#name)))
KV(put) int kv_put(const void* key, int key_size, const void* value, int value_size);
KV(get) int kv_get(const void* key, int key_size, void* into, int room);
KV(delete) int kv_delete(const void* key, int key_size);
KV(scan)
int kv_scan(const void* prefix, int prefix_size, const void* after, int after_size, void* into,
            int room);
KV(put_later) int kv_put_later(const void* key, int key_size, const void* value, int value_size);
KV(wait) int kv_wait(int ticket);
KV(say) int kv_say(const void* text, int size);
#undef KV

#endif
