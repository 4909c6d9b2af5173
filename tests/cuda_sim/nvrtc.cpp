// libnvrtc: compiles kernels with g++ for the simulator. Compiled kernels are kept beside the simulator's library.
#include "runtime.h"
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <unistd.h>

struct Program {
  std::string source, name, log, image;
};

// Where the simulator's library and headers lie.
static std::string home() {
  Dl_info info;
  dladdr((void *)home, &info);
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/'));
}

static std::string quoted(const std::string &word) { return "'" + word + "'"; }

static int run(const std::string &command, std::string &output) {
  FILE *pipe = popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, n);
  return pclose(pipe);
}

static std::string read_file(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Names of the kernels of a source, once its macros are expanded.
static std::set<std::string> kernels_of(const std::string &source, const std::string &flags) {
  std::string text;
  run("g++ -E -P -std=c++17 -w -DCUDASIM_LIST_KERNELS" + flags + " -I" + quoted(home()) + " " + quoted(source), text);
  static const std::regex kernel("cudasim_kernel\\s+void\\s+(\\w+)\\s*\\(");
  std::set<std::string> names;
  for (std::sregex_iterator i(text.begin(), text.end(), kernel), end; i != end; ++i) names.insert((*i)[1]);
  return names;
}

// Everything that is looked at: accesses by checks.cpp, alignment by an instruction that faults.
static const char *const check_flags = " -fsanitize=thread -fsanitize=alignment -fsanitize-undefined-trap-on-error";

static int compile(Program *program, const std::string &base, const std::string &flags) {
  const std::string source = base + ".cpp", object = base + ".o", draft = base + ".draft", library = base + ".so";
  std::string text = "#include \"device.h\"\n#line 1 \"" + program->name + "\"\n" + program->source + "\n";
  std::ofstream(source) << text;
  for (const std::string &name : kernels_of(source, flags))
    text += "extern \"C\" void sim_run_" + name + "(void **p) { sim_call(&" + name + ", p); }\n" +
            "extern \"C\" int sim_sizes_" + name + "(unsigned *s) { return sim_sizes(&" + name + ", s); }\n";
  std::ofstream(source) << text;
  const bool checked = setting("CUDASIM_CHECK") == "1";
  // Punning between types, which kernels do to move 16 bytes at once, is fine on a device.
  const std::string command = "g++ -std=c++17 -O1 -march=native -fno-strict-aliasing -fno-math-errno -fPIC -w" +
                              std::string(checked ? check_flags : "") + flags + " -I" + quoted(home()) + " -c " +
                              quoted(source) + " -o " + quoted(object) + " 2>&1 && g++ -shared -o " + quoted(draft) +
                              " " + quoted(object) + " " + quoted(home() + "/libcudasim.so") + " 2>&1 && mv " +
                              quoted(draft) + " " + quoted(library) + " && rm " + quoted(object);
  return run(command, program->log);
}

EXPORT int nvrtcVersion(int *major, int *minor) { return *major = 13, *minor = setting("CUDASIM_CHECK") == "1", OK; }
EXPORT int nvrtcGetNumSupportedArchs(int *count) { return *count = 2, OK; }
EXPORT int nvrtcGetSupportedArchs(int *capabilities) { return capabilities[0] = 80, capabilities[1] = 90, OK; }

EXPORT int nvrtcCreateProgram(Program **program, const char *source, const char *name, int, const char **,
                              const char **) {
  *program = new Program{source, name, "", ""};
  return OK;
}

EXPORT int nvrtcCompileProgram(Program *program, int count, const char **options) {
  if (const int status = planted_failure("nvrtcCompileProgram")) return status;
  std::string flags;
  for (int i = 0; i < count; i++)
    if (!strncmp(options[i], "-D", 2)) flags += " " + quoted(options[i]);
  const std::string key = program->source + "\n" + flags + "\n" + setting("CUDASIM_CHECK");
  const std::string cached = home() + "/kernel-" + std::to_string(std::hash<std::string>()(key));
  const std::string library = cached + ".so";
  if (access(library.c_str(), R_OK)) {
    const std::string draft = cached + "-" + std::to_string(getpid());
    if (compile(program, draft, flags)) return 6; // NVRTC_ERROR_COMPILATION
    rename((draft + ".so").c_str(), library.c_str());
    rename((draft + ".cpp").c_str(), (cached + ".cpp").c_str());
  }
  const std::string code = read_file(library);
  const uint64_t bytes = code.size();
  program->image = "CUDASIM\n" + std::string((const char *)&bytes, 8) + code;
  return OK;
}

EXPORT int nvrtcGetProgramLogSize(Program *program, size_t *bytes) { return *bytes = program->log.size() + 1, OK; }
EXPORT int nvrtcGetProgramLog(Program *program, char *log) {
  return memcpy(log, program->log.c_str(), program->log.size() + 1), OK;
}
EXPORT int nvrtcGetCUBINSize(Program *program, size_t *bytes) { return *bytes = program->image.size(), OK; }
EXPORT int nvrtcGetCUBIN(Program *program, char *image) {
  return memcpy(image, program->image.data(), program->image.size()), OK;
}
EXPORT int nvrtcDestroyProgram(Program **program) {
  delete *program;
  return *program = nullptr, OK;
}
EXPORT const char *nvrtcGetErrorString(int status) {
  return status == 7 ? "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE" : "NVRTC_ERROR";
}
