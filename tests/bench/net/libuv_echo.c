// An echo server by libuv, as a peer: `libuv_echo PORT`.
#include <stdlib.h>
#include <uv.h>

struct answer {
  uv_write_t request;
  char* data;
};

static void room(uv_handle_t* handle, size_t wanted, uv_buf_t* buffer) {
  (void)handle, (void)wanted;
  *buffer = uv_buf_init(malloc(4096), 4096);
}

static void closed(uv_handle_t* handle) { free(handle); }

static void written(uv_write_t* request, int status) {
  (void)status;
  struct answer* const answer = (struct answer*)request;
  free(answer->data);
  free(answer);
}

static void got(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  if (size > 0) {
    struct answer* const answer = malloc(sizeof *answer);
    answer->data = buffer->base;
    const uv_buf_t data = uv_buf_init(buffer->base, (unsigned)size);
    uv_write(&answer->request, stream, &data, 1, written);
    return;
  }
  if (size < 0) uv_close((uv_handle_t*)stream, closed);
  free(buffer->base);
}

static void connected(uv_stream_t* listener, int status) {
  (void)status;
  uv_tcp_t* const client = malloc(sizeof *client);
  uv_tcp_init(listener->loop, client);
  if (uv_accept(listener, (uv_stream_t*)client) != 0) {
    uv_close((uv_handle_t*)client, closed);
    return;
  }
  uv_tcp_nodelay(client, 1);
  uv_read_start((uv_stream_t*)client, room, got);
}

int main(int argc, char** argv) {
  uv_tcp_t listener;
  struct sockaddr_in address;
  uv_tcp_init(uv_default_loop(), &listener);
  uv_ip4_addr("127.0.0.1", argc > 1 ? atoi(argv[1]) : 0, &address);
  if (uv_tcp_bind(&listener, (const struct sockaddr*)&address, 0) != 0) return 1;
  if (uv_listen((uv_stream_t*)&listener, 1024, connected) != 0) return 1;
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
