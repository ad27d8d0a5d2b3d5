// Builds a site of static pages: site [FOLDER]. Every FOLDER/pages/NAME.md becomes
// FOLDER/public/NAME.html by the template FOLDER/page.html; other files there are copied. What is
// newer than its source, and the template, stays as it is.
//
// The template's {{title}} is the page's first heading, {{content}} what became of the page,
// {{menu}} a list of the pages beside pages/index.md, and {{root}} the way from the page to
// public/. Pages are written in a part of Markdown: headings, paragraphs, lists, quotes, fenced
// code, `code`, **strong**, *emphasis*, [links](to.md) and ![images](of.png). HTML in them is text.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { longest_path = 4095, deepest = 30 };

static void give_up(const char* what) {
  fprintf(stderr, "site: %s: %s\n", what, strerror(errno));
  exit(1);
}

// --- Text that grows ----------------------------------------------------------------------------

typedef struct Text {
  char* at;
  size_t size;
  size_t room;
} Text;

static void add_bytes(Text* text, const char* bytes, size_t size) {
  if (text->room - text->size <= size) {
    text->room = (text->size + size + 1) * 2;
    text->at = realloc(text->at, text->room);
    if (text->at == NULL) give_up("memory");
  }
  memcpy(text->at + text->size, bytes, size);
  text->size += size;
  text->at[text->size] = '\0';
}

static void add(Text* text, const char* words) { add_bytes(text, words, strlen(words)); }

static void add_escaped(Text* text, const char* bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    switch (bytes[i]) {
      case '&':
        add(text, "&amp;");
        break;
      case '<':
        add(text, "&lt;");
        break;
      case '>':
        add(text, "&gt;");
        break;
      case '"':
        add(text, "&quot;");
        break;
      case '{':
        add(text, "&#123;");  // a title in the menu is no {{name}}
        break;
      default:
        add_bytes(text, bytes + i, 1);
    }
  }
}

static Text read_file(const char* path) {
  Text text = {0};
  add(&text, "");
  FILE* const file = fopen(path, "r");
  if (file == NULL) give_up(path);
  char buffer[1 << 14];
  for (size_t size; (size = fread(buffer, 1, sizeof buffer, file)) > 0;) {
    add_bytes(&text, buffer, size);
  }
  if (ferror(file)) give_up(path);
  fclose(file);
  return text;
}

// Readers see the old file or the new one, whole.
static void write_file(const char* path, const Text* text) {
  char draft[longest_path + 8];
  snprintf(draft, sizeof draft, "%s.new", path);
  FILE* const file = fopen(draft, "w");
  if (file == NULL) give_up(draft);
  if (fwrite(text->at, 1, text->size, file) != text->size || fclose(file) != 0) give_up(draft);
  if (rename(draft, path) != 0) give_up(path);
}

// --- Markdown -----------------------------------------------------------------------------------

static bool ends_with(const char* text, size_t size, const char* end) {
  const size_t length = strlen(end);
  return size >= length && memcmp(text + size - length, end, length) == 0;
}

// Where a link leads: pages to what becomes of them, and nowhere that a browser would execute.
static void add_address(Text* html, const char* address, size_t size) {
  const char* const colon = memchr(address, ':', size);
  const char* const slash = memchr(address, '/', size);
  const bool has_scheme = colon != NULL && (slash == NULL || colon < slash);
  if (has_scheme && strncasecmp(address, "http:", 5) != 0 &&
      strncasecmp(address, "https:", 6) != 0 && strncasecmp(address, "mailto:", 7) != 0) {
    add(html, "#");
  } else if (!has_scheme && ends_with(address, size, ".md")) {
    add_escaped(html, address, size - 3);
    add(html, ".html");
  } else {
    add_escaped(html, address, size);
  }
}

static void add_spans(Text* html, const char* text, size_t size, int depth);

// [text](address) or ![text](address) at the begin of `text`. Gives its size, or 0: it is none.
static size_t add_link(Text* html, const char* text, size_t size, int depth) {
  const bool is_image = text[0] == '!';
  const size_t open = is_image ? 1 : 0;
  if (size < open + 4 || text[open] != '[') return 0;
  const char* const middle = memchr(text, ']', size);
  if (middle == NULL || middle + 1 >= text + size || middle[1] != '(') return 0;
  const char* const address = middle + 2;
  const char* const close = memchr(address, ')', size - (size_t)(address - text));
  if (close == NULL) return 0;
  const char* const label = text + open + 1;
  const size_t label_size = (size_t)(middle - label);
  add(html, is_image ? "<img src=\"" : "<a href=\"");
  add_address(html, address, (size_t)(close - address));
  if (is_image) {
    add(html, "\" alt=\"");
    add_escaped(html, label, label_size);
    add(html, "\">");
  } else {
    add(html, "\">");
    add_spans(html, label, label_size, depth + 1);
    add(html, "</a>");
  }
  return (size_t)(close - text) + 1;
}

// Text between two equal marks at the begin of `text`. Gives its size with them, or 0.
static size_t add_marked(Text* html, const char* text, size_t size, const char* mark,
                         const char* tag, int depth) {
  const size_t length = strlen(mark);
  if (size < 2 * length + 1 || memcmp(text, mark, length) != 0 ||
      isspace((unsigned char)text[length])) {
    return 0;
  }
  for (size_t end = length + 1; end + length <= size; end++) {
    if (memcmp(text + end, mark, length) != 0 || isspace((unsigned char)text[end - 1])) continue;
    add(html, "<");
    add(html, tag);
    add(html, ">");
    if (mark[0] == '`') {
      add_escaped(html, text + length, end - length);
    } else {
      add_spans(html, text + length, end - length, depth + 1);
    }
    add(html, "</");
    add(html, tag);
    add(html, ">");
    return end + length;
  }
  return 0;
}

static void add_spans(Text* html, const char* text, size_t size, int depth) {
  for (size_t at = 0; at < size;) {
    const char* const here = text + at;
    const size_t left = size - at;
    size_t taken = 0;
    if (depth < deepest) {
      if (here[0] == '\\' && left > 1 && ispunct((unsigned char)here[1])) {
        add_escaped(html, here + 1, 1);
        taken = 2;
      }
      if (taken == 0) taken = add_marked(html, here, left, "`", "code", depth);
      if (taken == 0) taken = add_marked(html, here, left, "**", "strong", depth);
      if (taken == 0) taken = add_marked(html, here, left, "*", "em", depth);
      if (taken == 0) taken = add_link(html, here, left, depth);
    }
    if (taken == 0) {
      add_escaped(html, here, 1);
      taken = 1;
    }
    at += taken;
  }
}

// What the lines at hand belong to.
typedef enum Block { none, paragraph, bullets, numbers, quote, code } Block;
static const char* const begins[] = {"",           "<p>", "<ul>\n", "<ol>\n", "<blockquote>\n",
                                     "<pre><code>"};
static const char* const ends[] = {"",        "</p>\n",          "</ul>\n",
                                   "</ol>\n", "</blockquote>\n", "</code></pre>\n"};

static void change(Text* html, Block* block, Block to) {
  if (*block == to) return;
  add(html, ends[*block]);
  add(html, begins[to]);
  *block = to;
}

// The page in HTML; its first heading into `title`.
static Text to_html(const char* text, Text* title) {
  Text html = {0};
  add(&html, "");
  Block block = none;
  for (const char* line = text; *line != '\0';) {
    size_t size = strcspn(line, "\n");
    const char* const next = line + size + (line[size] == '\n');
    if (size > 0 && line[size - 1] == '\r') size--;
    if (size >= 3 && memcmp(line, "```", 3) == 0) {
      change(&html, &block, block == code ? none : code);
    } else if (block == code) {
      add_escaped(&html, line, size);
      add(&html, "\n");
    } else if (strspn(line, " \t") >= size) {
      change(&html, &block, none);
    } else if (line[0] == '#' && strspn(line, "#") <= 6 && line[strspn(line, "#")] == ' ') {
      const size_t level = strspn(line, "#");
      const size_t begin = level + strspn(line + level, " ");
      change(&html, &block, none);
      char tag[8];
      snprintf(tag, sizeof tag, "<h%zu>", level);
      add(&html, tag);
      const size_t heading = begin < size ? size - begin : 0;
      add_spans(&html, line + begin, heading, 0);
      snprintf(tag, sizeof tag, "</h%zu>\n", level);
      add(&html, tag);
      if (title->size == 0) add_escaped(title, line + begin, heading);
    } else {
      const size_t digits = strspn(line, "0123456789");
      Block kind = paragraph;
      size_t begin = 0;
      if (size > 2 && (line[0] == '-' || line[0] == '*') && line[1] == ' ') {
        kind = bullets;
        begin = 2;
      } else if (digits > 0 && size > digits + 2 && line[digits] == '.' &&
                 line[digits + 1] == ' ') {
        kind = numbers;
        begin = digits + 2;
      } else if (line[0] == '>') {
        kind = quote;
        begin = 1 + strspn(line + 1, " ");
      }
      const bool goes_on = block == kind && kind == paragraph;
      if (goes_on) add(&html, "\n");
      change(&html, &block, kind);
      const bool is_item = kind == bullets || kind == numbers;
      if (is_item) add(&html, "<li>");
      if (begin < size) add_spans(&html, line + begin, size - begin, 0);
      if (kind != paragraph) add(&html, is_item ? "</li>\n" : "\n");
    }
    line = next;
  }
  change(&html, &block, none);
  return html;
}

// --- The site -----------------------------------------------------------------------------------

typedef struct Site {
  const char* folder;
  Text template;
  Text menu;  // {{root}} is still in it
  struct timespec template_time;
  unsigned built, copied, kept;
} Site;

static void join(char path[longest_path + 1], const char* folder, const char* between,
                 const char* name) {
  if (snprintf(path, longest_path + 1, "%s%s%s", folder, between, name) > longest_path) {
    errno = ENAMETOOLONG;
    give_up(name);
  }
}

static bool is_newer(struct timespec a, struct timespec b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

static int compare_names(const void* a, const void* b) {
  return strcmp(*(char* const*)a, *(char* const*)b);
}

// The names in a folder in their order, which the caller frees.
static char** names_in(const char* folder, size_t* count) {
  DIR* const directory = opendir(folder);
  if (directory == NULL) give_up(folder);
  char** names = NULL;
  *count = 0;
  for (const struct dirent* entry; (entry = readdir(directory)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    names = realloc(names, (*count + 1) * sizeof *names);
    if (names == NULL || (names[*count] = strdup(entry->d_name)) == NULL) give_up("memory");
    ++*count;
  }
  closedir(directory);
  if (*count > 1) qsort(names, *count, sizeof *names, compare_names);
  return names;
}

static void free_names(char** names, size_t count) {
  for (size_t i = 0; i < count; i++) free(names[i]);
  free(names);
}

// Puts values in for {{names}}; `depth` is how many folders the page lies below public/.
static void fill(Text* out, const char* text, const Site* site, const Text* title,
                 const Text* content, int depth) {
  while (true) {
    const char* const open = strstr(text, "{{");
    const char* const close = open == NULL ? NULL : strstr(open, "}}");
    if (close == NULL) break;
    add_bytes(out, text, (size_t)(open - text));
    const size_t size = (size_t)(close - open) - 2;
    const char* const name = open + 2;
    const bool is_inner = content == NULL;  // of the menu
    if (size == 4 && memcmp(name, "root", 4) == 0) {
      for (int i = 0; i < depth; i++) add(out, "../");
    } else if (!is_inner && size == 5 && memcmp(name, "title", 5) == 0) {
      add_bytes(out, title->at, title->size);
    } else if (!is_inner && size == 7 && memcmp(name, "content", 7) == 0) {
      add_bytes(out, content->at, content->size);
    } else if (!is_inner && size == 4 && memcmp(name, "menu", 4) == 0) {
      fill(out, site->menu.at, site, NULL, NULL, depth);
    } else {
      fprintf(stderr, "site: page.html: there is no {{%.*s}}\n", (int)size, name);
      exit(1);
    }
    text = close + 2;
  }
  add(out, text);
}

static void build_page(Site* site, const char* from, const char* to, int depth) {
  const Text source = read_file(from);
  Text title = {0};
  Text content = to_html(source.at, &title);
  if (title.size == 0) add(&title, "Without a title");
  Text page = {0};
  fill(&page, site->template.at, site, &title, &content, depth);
  write_file(to, &page);
  free(source.at);
  free(title.at);
  free(content.at);
  free(page.at);
  site->built++;
}

static void build_folder(Site* site, const char* below, int depth) {
  char from[longest_path + 1];
  char to[longest_path + 1];
  join(from, site->folder, "/pages", below);
  join(to, site->folder, "/public", below);
  if (mkdir(to, 0777) != 0 && errno != EEXIST) give_up(to);
  size_t count;
  char** const names = names_in(from, &count);
  for (size_t i = 0; i < count; i++) {
    const char* const name = names[i];
    char source[longest_path + 1];
    char target[longest_path + 1];
    char inner[longest_path + 1];
    join(inner, below, "/", name);
    join(source, site->folder, "/pages", inner);
    join(target, site->folder, "/public", inner);
    struct stat about, made;
    if (stat(source, &about) != 0) give_up(source);
    if (S_ISDIR(about.st_mode)) {
      if (depth == deepest) {
        errno = ELOOP;
        give_up(source);
      }
      build_folder(site, inner, depth + 1);
      continue;
    }
    const bool is_page = ends_with(name, strlen(name), ".md");
    if (is_page) {
      target[strlen(target) - 3] = '\0';
      if (strlen(target) + 5 > longest_path) {
        errno = ENAMETOOLONG;
        give_up(target);
      }
      strcat(target, ".html");
    }
    if (stat(target, &made) == 0 && !is_newer(about.st_mtim, made.st_mtim) &&
        !(is_page && is_newer(site->template_time, made.st_mtim))) {
      site->kept++;
    } else if (is_page) {
      build_page(site, source, target, depth);
    } else {
      const Text bytes = read_file(source);
      write_file(target, &bytes);
      free(bytes.at);
      site->copied++;
    }
  }
  free_names(names, count);
}

// Links to the pages that are not in folders.
static void make_menu(Site* site) {
  char pages[longest_path + 1];
  join(pages, site->folder, "/", "pages");
  size_t count;
  char** const names = names_in(pages, &count);
  add(&site->menu, "<ul>\n");
  for (size_t i = 0; i < count; i++) {
    const size_t size = strlen(names[i]);
    if (!ends_with(names[i], size, ".md")) continue;
    char path[longest_path + 1];
    join(path, pages, "/", names[i]);
    const Text source = read_file(path);
    Text title = {0};
    free(to_html(source.at, &title).at);
    add(&site->menu, "<li><a href=\"{{root}}");
    add_escaped(&site->menu, names[i], size - 3);
    add(&site->menu, ".html\">");
    add(&site->menu, title.size > 0 ? title.at : "Without a title");
    add(&site->menu, "</a></li>\n");
    free(source.at);
    free(title.at);
  }
  add(&site->menu, "</ul>");
  free_names(names, count);
}

int main(int count, char** words) {
  if (count > 2) {
    fputs("usage: site [FOLDER]\n", stderr);
    return 2;
  }
  Site site = {.folder = count > 1 ? words[1] : "."};
  char path[longest_path + 1];
  join(path, site.folder, "/", "page.html");
  site.template = read_file(path);
  struct stat about;
  if (stat(path, &about) != 0) give_up(path);
  site.template_time = about.st_mtim;
  make_menu(&site);
  build_folder(&site, "", 0);
  free(site.template.at);
  free(site.menu.at);
  printf("%u built, %u copied, %u as they were\n", site.built, site.copied, site.kept);
  return 0;
}
