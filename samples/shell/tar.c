// Archives as POSIX.1-1988 describes them (ustar): files, directories, symbolic links.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shell.h"

enum { block_size = 512 };

typedef struct Header {
  char name[100];
  char mode[8];
  char owner[8];
  char group[8];
  char size[12];
  char modified[12];
  char checksum[8];
  char type;
  char target[100];
  char magic[8];
  char names[64];
  char device[16];
  char prefix[155];
  char rest[12];
} Header;
_Static_assert(sizeof(Header) == block_size, "");

static const char zeros[block_size];

static unsigned checksum_of(const Header* header) {
  unsigned sum = 0;
  for (size_t i = 0; i < sizeof *header; i++) {
    const bool is_of_it = i >= offsetof(Header, checksum) && i < offsetof(Header, type);
    sum += is_of_it ? ' ' : ((const unsigned char*)header)[i];
  }
  return sum;
}

static size_t padding_of(uint64_t size) { return (block_size - size % block_size) % block_size; }

// --- Writing ------------------------------------------------------------------------------------

typedef struct Archive {
  const Options* options;
  FILE* file;
  FILE* names;        // where names go that are put in, or null
  struct stat about;  // of the archive, where it is a file: it is not put into itself
  bool has_failed;    // can't be written
} Archive;

// Splits a name that is too long for its field. False: it is too long for both.
static bool put_name(Header* header, const char* name) {
  const size_t size = strlen(name);
  if (size <= sizeof header->name) {
    memcpy(header->name, name, size);
    return true;
  }
  for (const char* slash = name; (slash = strchr(slash + 1, '/')) != NULL;) {
    const size_t before = (size_t)(slash - name);
    const size_t behind = size - before - 1;
    if (before > sizeof header->prefix) return false;
    if (behind > sizeof header->name || behind == 0) continue;
    memcpy(header->prefix, name, before);
    memcpy(header->name, slash + 1, behind);
    return true;
  }
  return false;
}

static void put(Archive* archive, const void* bytes, size_t size) {
  archive->has_failed |= fwrite(bytes, 1, size, archive->file) != size;
}

static int put_file(Archive* archive, const char* path, uint64_t size) {
  static char buffer[1 << 16];
  FILE* const file = fopen(path, "r");
  int status = file == NULL ? complain("tar", path) : 0;
  for (uint64_t left = size; left > 0;) {
    const size_t some = left < sizeof buffer ? (size_t)left : sizeof buffer;
    size_t got = file == NULL ? 0 : fread(buffer, 1, some, file);
    if (got == 0) {
      // The header has said how many there are.
      if (status == 0) {
        fprintf(stderr, "tar: %s: became shorter while it was read\n", path);
        status = 1;
      }
      memset(buffer, 0, some);
      got = some;
    }
    put(archive, buffer, got);
    left -= got;
  }
  put(archive, zeros, padding_of(size));
  if (file != NULL) fclose(file);
  return status;
}

static int put_path(Archive* archive, const char* path) {
  struct stat about;
  if (lstat(path, &about) != 0) return complain("tar", path);
  if (about.st_ino == archive->about.st_ino && about.st_dev == archive->about.st_dev) return 0;
  Header header = {.magic = {'u', 's', 't', 'a', 'r', '\0', '0', '0'}};
  const bool is_folder = S_ISDIR(about.st_mode);
  const bool is_link = S_ISLNK(about.st_mode);
  if (!is_folder && !is_link && !S_ISREG(about.st_mode)) {
    fprintf(stderr, "tar: %s: neither a file nor a directory nor a link: left out\n", path);
    return 1;
  }
  // Names never begin with a slash, so that they can be put anywhere.
  const char* relative = path + strspn(path, "/");
  char name[longest_path + 2];
  const size_t length = strlen(relative);
  const bool has_slash = length > 0 && relative[length - 1] == '/';
  snprintf(name, sizeof name, "%s%s", relative, is_folder && !has_slash ? "/" : "");
  const uint64_t size = is_folder || is_link ? 0 : (uint64_t)about.st_size;
  if (!put_name(&header, name) || size >> 33 != 0) {
    fprintf(stderr, "tar: %s: its name or size is more than this format holds\n", path);
    return 1;
  }
  if (is_link) {
    char target[longest_path + 1];
    const ssize_t bytes = readlink(path, target, sizeof target);
    if (bytes < 0) return complain("tar", path);
    if ((size_t)bytes > sizeof header.target) {
      fprintf(stderr, "tar: %s: its target is more than this format holds\n", path);
      return 1;
    }
    memcpy(header.target, target, (size_t)bytes);
  }
  header.type = is_folder ? '5' : is_link ? '2' : '0';
  const int64_t modified = about.st_mtime < 0 ? 0 : about.st_mtime;
  snprintf(header.mode, sizeof header.mode, "%07o", is_folder ? 0755u : is_link ? 0777u : 0644u);
  snprintf(header.owner, sizeof header.owner, "%07o", 0u);
  snprintf(header.group, sizeof header.group, "%07o", 0u);
  snprintf(header.size, sizeof header.size, "%011llo", (unsigned long long)size);
  snprintf(header.modified, sizeof header.modified, "%011llo",
           (unsigned long long)modified & 077777777777u);
  snprintf(header.checksum, sizeof header.checksum, "%06o", checksum_of(&header));
  header.checksum[7] = ' ';
  put(archive, &header, sizeof header);
  if (archive->names != NULL) fprintf(archive->names, "%s\n", name);
  int status = 0;
  if (!is_folder && !is_link) status = put_file(archive, path, size);
  if (!is_folder) return status;
  List names = {0};
  if (!names_in(path, &names)) status = complain("tar", path);
  for (size_t i = 0; i < names.count && !archive->has_failed; i++) {
    char below[longest_path + 1];
    const bool has_path = join_path(below, path, names.items[i]);
    status |= has_path ? put_path(archive, below) : complain("tar", names.items[i]);
  }
  free_items(&names);
  return status;
}

static int create(Archive* archive, int count, char** paths) {
  if (count == 0) return misuse("tar", "-c needs what to put in");
  int status = 0;
  for (int i = 0; i < count && !archive->has_failed; i++) status |= put_path(archive, paths[i]);
  put(archive, zeros, block_size);
  put(archive, zeros, block_size);
  if (archive->has_failed) status = complain("tar", "the archive");
  return status;
}

// --- Reading ------------------------------------------------------------------------------------

// An octal number, or one in binary as GNU writes large ones. False: it is none.
static bool take_number(const char* field, size_t size, uint64_t* number) {
  const unsigned char* const bytes = (const unsigned char*)field;
  *number = 0;
  if (bytes[0] == 0x80) {
    for (size_t i = 1; i < size; i++) {
      if (*number >> 55 != 0) return false;
      *number = *number << 8 | bytes[i];
    }
    return true;
  }
  size_t i = 0;
  while (i < size && field[i] == ' ') i++;
  for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) {
    *number = *number << 3 | (unsigned)(field[i] - '0');
  }
  return i == size || field[i] == ' ' || field[i] == '\0';
}

// Names from outside: below here only.
static bool is_inside(const char* name) {
  if (name[0] == '/' || name[0] == '\0') return false;
  for (const char* part = name; part != NULL; part = strchr(part, '/')) {
    part += strspn(part, "/");
    if (part[0] == '.' && part[1] == '.' && (part[2] == '/' || part[2] == '\0')) return false;
  }
  return true;
}

static bool skip(FILE* file, uint64_t size) {
  static char buffer[1 << 16];
  while (size > 0) {
    const size_t some = size < sizeof buffer ? (size_t)size : sizeof buffer;
    if (fread(buffer, 1, some, file) != some) return false;
    size -= some;
  }
  return true;
}

// The directories above a name, which archives may leave out.
static void make_above(char* name) {
  for (char* slash = name; (slash = strchr(slash + 1, '/')) != NULL;) {
    *slash = '\0';
    (void)mkdir(name, 0777);
    *slash = '/';
  }
}

// False: the archive ends before the file does.
static bool take_file(FILE* archive, const char* name, uint64_t size, int* status) {
  static char buffer[1 << 16];
  // What is there is replaced, not written through: it may be a link.
  if (unlink(name) != 0 && errno != ENOENT) *status = complain("tar", name);
  FILE* const file = fopen(name, "wx");
  if (file == NULL) *status = complain("tar", name);
  while (size > 0) {
    const size_t some = size < sizeof buffer ? (size_t)size : sizeof buffer;
    const size_t got = fread(buffer, 1, some, archive);
    if (file != NULL && fwrite(buffer, 1, got, file) != got) *status = complain("tar", name);
    if (got != some) {
      if (file != NULL) fclose(file);
      return false;
    }
    size -= some;
  }
  if (file != NULL && fclose(file) != 0) *status = complain("tar", name);
  return true;
}

static int damaged(const char* what) {
  fprintf(stderr, "tar: %s\n", what);
  return 1;
}

// Whether a name, or one above it, is among `wanted`; none are wanted: all.
static bool is_wanted(const char* name, int count, char** wanted) {
  for (int i = 0; i < count; i++) {
    const size_t size = strlen(wanted[i]);
    if (strncmp(name, wanted[i], size) == 0 && (name[size] == '\0' || name[size] == '/'))
      return true;
  }
  return count == 0;
}

static int read_archive(Archive* archive, int count, char** wanted, FILE* out) {
  const bool extracts = archive->options->has['x'];
  int status = 0;
  while (true) {
    Header header;
    const size_t got = fread(&header, 1, sizeof header, archive->file);
    if (got == 0 && !ferror(archive->file)) return status;  // some have no end
    if (got != sizeof header) return damaged("the archive is cut off");
    if (memcmp(&header, zeros, sizeof header) == 0) return status;
    uint64_t size, sum, modified;
    if (!take_number(header.checksum, sizeof header.checksum, &sum) ||
        sum != checksum_of(&header) || memcmp(header.magic, "ustar", 5) != 0 ||
        !take_number(header.size, sizeof header.size, &size) ||
        !take_number(header.modified, sizeof header.modified, &modified)) {
      return damaged("this is no archive that it knows, or it is damaged");
    }
    char name[sizeof header.prefix + sizeof header.name + 2];
    const int prefix =
        header.magic[5] == '\0' ? (int)strnlen(header.prefix, sizeof header.prefix) : 0;
    snprintf(name, sizeof name, "%.*s%s%.*s", prefix, header.prefix, prefix > 0 ? "/" : "",
             (int)strnlen(header.name, sizeof header.name), header.name);
    char target[sizeof header.target + 1];
    snprintf(target, sizeof target, "%.*s", (int)strnlen(header.target, sizeof header.target),
             header.target);
    const bool is_file = header.type == '0' || header.type == '\0';
    if (!is_file && header.type != '2' && header.type != '5') {
      fprintf(stderr, "tar: %s: neither a file nor a directory nor a link: left out\n", name);
      status = 1;
    } else if (is_wanted(name, count, wanted)) {
      if (!extracts || archive->options->has['v']) fprintf(out, "%s\n", name);
      if (extracts && !is_inside(name)) {
        fprintf(stderr, "tar: %s: its name leads outside: left out\n", name);
        status = 1;
      } else if (extracts) {
        make_above(name);
        if (is_file) {
          if (!take_file(archive->file, name, size, &status))
            return damaged("the archive is cut off");
          size = padding_of(size);
          const struct timespec times[2] = {{.tv_sec = (time_t)modified},
                                            {.tv_sec = (time_t)modified}};
          (void)utimensat(AT_FDCWD, name, times, 0);
        } else if (header.type == '5') {
          if (mkdir(name, 0777) != 0 && errno != EEXIST) status = complain("tar", name);
        } else {
          if (unlink(name) != 0 && errno != ENOENT) status = complain("tar", name);
          if (symlink(target, name) != 0) status = complain("tar", name);
        }
      }
    }
    // After a file only its padding is left.
    const bool is_taken = extracts && is_file && is_wanted(name, count, wanted) && is_inside(name);
    if (!skip(archive->file, is_taken ? size : size + padding_of(size))) {
      return damaged("the archive is cut off");
    }
  }
}

// -c makes an archive, -x takes what is in one, -t lists it; -f: its file, else input or output;
// -C: from or to there; -v: with the names.
int tar_command(int count, char** words, Streams* streams) {
  Options options;
  if (!take_options(&options, "cxtvf:C:", count, words)) return 2;
  if (options.has['c'] + options.has['x'] + options.has['t'] != 1) {
    return misuse("tar", "needs one of -c, -x and -t");
  }
  const char* const path = options.value['f'];
  Archive archive = {.options = &options, .file = options.has['c'] ? streams->out : streams->in};
  FILE* const opened = path == NULL ? NULL : fopen(path, options.has['c'] ? "w" : "r");
  if (path != NULL && opened == NULL) return complain("tar", path);
  if (opened != NULL) archive.file = opened;
  if (opened == NULL || fstat(fileno(opened), &archive.about) != 0) archive.about.st_ino = 0;
  if (options.has['v']) archive.names = opened != NULL ? streams->out : stderr;
  char here[longest_path + 1];
  int status = 0;
  if (options.has['C']) {
    if (getcwd(here, sizeof here) == NULL || chdir(options.value['C']) != 0) {
      status = complain("tar", options.value['C']);
    }
  }
  if (status == 0) {
    const int others = count - options.first;
    char** const paths = words + options.first;
    status = options.has['c'] ? create(&archive, others, paths)
                              : read_archive(&archive, others, paths, streams->out);
    if (options.has['C'] && chdir(here) != 0) status = complain("tar", here);
  }
  if (opened != NULL && fclose(opened) != 0) status = complain("tar", path);
  return status;
}
