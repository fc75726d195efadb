# Modules that a stack calls from elsewhere. What is planned is to follow from the revision alone: a module that others can change under the same name
# is code that nobody has reviewed.

# METADATA
# title: Sources of modules
# custom:
#   kinds: [infrastructure]
package vishwa.pinned

import data.vishwa.terraform

# METADATA
# title: Module that moves
# description: A module of a registry has an exact version, and one of a repository a commit.
# custom:
#   id: terraform/pinned
deny contains {"rule": "terraform/pinned", "message": sprintf("module %q %s", [call.name, why]), "hint": hint} if {
	terraform.changes
	some call in calls
	some why, hint in moves(kind(call.source), call)
}

# METADATA
# title: Module that can be moved
# description: A tag can be set anew, and what is not of a registry or a repository can be replaced.
# custom:
#   id: terraform/pinned
warn contains {"rule": "terraform/pinned", "message": sprintf("module %q %s", [call.name, why]), "hint": hint} if {
	terraform.changes
	some call in calls
	some why, hint in movable(kind(call.source), call)
}

# Every call of a module, at whatever depth, by its name and where it is from.
calls contains {"name": path[count(path) - 1], "source": call.source, "version": object.get(call, "version_constraint", "")} if {
	is_object(input.terraform)
	walk(object.get(input.terraform, ["configuration", "root_module"], {}), [path, call])
	count(path) > 1
	path[count(path) - 2] == "module_calls"
	is_string(call.source)
}

# Modules that tests run are in no plan: they are run at each plan all the same.
calls contains {"name": call.name, "source": call.source, "version": object.get(call, "version", "")} if some call in object.get(input.step, ["tests", "modules"], [])

# Local modules are of the revision. An address without a scheme is of a registry, or of a host whose repositories Terraform knows.
default kind(_) := "other"

kind(source) := "local" if regex.match(`^\.\.?/`, source)

kind(source) := "repository" if regex.match(`^(git|hg)::|^git@|^(github\.com|bitbucket\.org)/|^(https|ssh)://[^?]*\.git(//|\?|$)`, source)

kind(source) := "registry" if {
	regex.match(`^([A-Za-z0-9.-]+\.[A-Za-z0-9-]+(:[0-9]+)?/)?[A-Za-z0-9_-]+/[A-Za-z0-9_-]+/[a-z0-9]+(//.*)?$`, source)
	not regex.match(`^(github\.com|bitbucket\.org)/`, source)
}

commit := "write the commit: ?ref= with its 40 digits, as git rev-parse prints it"

moves("registry", call) := {"is of a registry without an exact version": `write one: version = "1.2.3"`} if {
	not regex.match(`^=? *v?[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$`, call.version)
}

moves("repository", call) := {"is of a repository, and its address says something of which it is not known what it brings": "write the commit: ?ref= with its 40 digits, and nothing else after the ?"} if {
	not understood(call.source)
}

moves("repository", call) := {"is of a repository without a ref: its default branch moves": commit} if {
	understood(call.source)
	not ref(call.source)
}

moves("repository", call) := {"is of a branch of a repository, which moves": commit} if {
	r := ref(call.source)
	not regex.match(hash, r)
	not regex.match(tag, r)
}

movable("repository", call) := {"is of a tag of a repository, which can be set anew": commit} if {
	r := ref(call.source)
	not regex.match(hash, r)
	regex.match(tag, r)
}

# Without git:: before it, such an address is fetched as any other is, and its server answers as it likes.
movable("repository", call) := {"is of an address that is not fetched by Git": "write git:: before it"} if {
	regex.match(`^(https|ssh)://`, call.source)
	regex.match(hash, ref(call.source))
}

movable("other", call) := {"is of an address whose content can be replaced": "give it a Git address with a commit, or a version of a registry; or put it below the stack's folder"} if {
	not fixed(call.source)
}

fixed(source) if {
	[sum] := query(source).checksum
	regex.match(`^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`, sum)
}

# What an address asks for, as go-getter reads it (its get_git.go and get_hg.go): after the first ?, decoded. It has no # in it.
query(source) := urlquery.decode_object(text) if {
	not contains(source, "#")
	parts := split(source, "?")
	text := concat("?", array.slice(parts, 1, count(parts)))
	regex.match(`^([^%;]|%[0-9A-Fa-f]{2})*$`, text)
}

# The name of a commit: hg knows no ref, and git no rev.
default names(_) := "ref"

names(source) := "rev" if startswith(source, "hg::")

# With depth, Git takes a branch whose name is a commit's; whatever else there is may mean something to the server. sshkey is who asks.
understood(source) if {
	q := query(source)
	object.keys(q) - {names(source), "sshkey"} == set()
	count(object.get(q, names(source), [])) <= 1
}

ref(source) := r if {
	understood(source)
	r := query(source)[names(source)][0]
	r != ""
}

hash := `^[0-9a-f]{40}([0-9a-f]{24})?$`

tag := `^(refs/tags/)?([A-Za-z0-9_-]+[-/])?v?[0-9]+(\.[0-9]+)+([-+][0-9A-Za-z.+-]+)?$|^refs/tags/`
