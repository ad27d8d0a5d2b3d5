/* A C program that packs the manifest that it is named, and runs the image with a directory for
 * what it asks for: image MANIFEST OUT DIRECTORY. Built by package.sh. */
#include <atoll.h>
#include <stdio.h>
#include <stdlib.h>

static void must(atoll_error* error) {
  if (error == NULL) return;
  fprintf(stderr, "%s\n", atoll_error_text(error));
  exit(1);
}

static bool show(void* env, const char* path, atoll_image_file_type type, uint64_t size,
                 const char* target) {
  (void)env;
  printf("%s%s%s", path, type == ATOLL_IMAGE_LINK ? " -> " : "", target);
  if (type == ATOLL_IMAGE_FILE) printf(" %lu", (unsigned long)size);
  printf("\n");
  return true;
}

int main(int argc, char** argv) {
  uint8_t* bytes = NULL;
  size_t size = 0;
  FILE* file;
  atoll_engine* engine = atoll_engine_new(ATOLL_TIER_AUTO, false);
  atoll_options* options = atoll_options_new();
  atoll_image* image = NULL;
  atoll_module* module = NULL;
  atoll_process* process = NULL;
  atoll_image_manifest manifest;
  atoll_image_mount mount;
  atoll_image_grant grant;
  atoll_error* error;
  uint32_t code = 99;
  if (argc != 4) return 2;
  must(atoll_image_pack(argv[1], NULL, &bytes, &size));
  file = fopen(argv[2], "wb");
  if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) return 1;
  atoll_bytes_free(bytes);
  must(atoll_image_open(argv[2], NULL, &image));
  atoll_image_get_manifest(image, &manifest);
  printf("%s, %d mount\n", atoll_image_name(image), (int)manifest.mount_count);
  must(atoll_image_files(image, show, NULL));
  error = atoll_image_apply(image, NULL, 0, options);
  printf("%s\n", error == NULL ? "no error" : "not without a grant");
  atoll_error_free(error);
  if (!atoll_image_get_mount(image, 0, &mount)) return 1;
  grant.guest = mount.guest;
  grant.source = argv[3];
  grant.writable = true;
  must(atoll_image_apply(image, &grant, 1, options));
  atoll_options_streams(options, -1, 1, 2);
  fflush(stdout);
  must(atoll_image_module(image, engine, &module));
  must(atoll_process_new(engine, module, options, &process));
  must(atoll_process_run(process, &code));
  atoll_process_free(process);
  atoll_module_free(module);
  atoll_image_free(image);
  atoll_options_free(options);
  atoll_engine_free(engine);
  return (int)code;
}
