# Tests of pinned.rego.
package vishwa.pinned_test

about(calls) := {
	"phase": "act", "step": {"kind": "infrastructure", "do": "make", "pending": false}, "allowDestroy": false,
	"terraform": {"format_version": "1.2", "resource_changes": [], "configuration": {"root_module": {"module_calls": calls}}},
}

says(source, version) := {"deny": denied, "warn": warned} if {
	doc := about({"net": {"source": source, "version_constraint": version}})
	denied := count(data.vishwa.pinned.deny) with input as doc
	warned := count(data.vishwa.pinned.warn) with input as doc
}

pinned := {"deny": 0, "warn": 0}

moves := {"deny": 1, "warn": 0}

movable := {"deny": 0, "warn": 1}

sha := "0123456789abcdef0123456789abcdef01234567"

test_what_is_pinned if {
	every source, version in {
		"./net": "", "../net": "",
		"terraform-aws-modules/vpc/aws": "5.1.2", "terraform-aws-modules/vpc/aws//modules/vpc-endpoints": "= 5.1.2",
		"app.terraform.io/acme/vpc/aws": "v5.1.2-rc.1",
		sprintf("git::https://example.com/net.git?ref=%s", [sha]): "",
		sprintf("git::ssh://git@example.com/net.git//sub?ref=%s", [sha]): "",
		sprintf("git::ssh://git@example.com/net.git?sshkey=a%%2Bb%%3D&%%72ef=%s", [sha]): "", sprintf("hg::https://example.com/net?rev=%s", [sha]): "",
		sprintf("github.com/acme/net?ref=%s", [sha]): "",
		sprintf("https://example.com/net.zip?checksum=sha256:%s%s", [sha, "0123456789abcdef01234567"]): "",
	} {
		says(source, version) == pinned
	}
}

test_what_moves if {
	every source, version in {
		"terraform-aws-modules/vpc/aws": "", "acme/vpc/aws": "~> 5.1", "acme/net/aws": ">= 5.1.0, < 6.0.0", "app.terraform.io/acme/vpc/aws": "5.1",
		"git::https://example.com/net.git": "", "git::https://example.com/net.git?ref=main": "", "github.com/acme/net": "", "git@github.com:acme/net.git?ref=release/1.x": "",
		"git::https://example.com/net.git?ref=0123456": "", "https://github.com/acme/net.git?ref=HEAD": "", "hg::https://example.com/net": "",
	} {
		says(source, version) == moves
	}
}

test_what_only_looks_pinned if {
	every source in [
		"git::https://github.com/acme/m.git?%%72ef=main&ref=%s", "git::https://github.com/acme/m.git?ref=main&ref=%s", "git::https://github.com/acme/m.git?rev=%s&ref=main",
		"git::https://example.com/m.git?rev=%s", "git::https://example.com/m.git#?ref=%s", "git::https://example.com/m.git?ref=main#&ref=%s", "git::https://example.com/m.git?ref=%s&depth=1",
		"git::https://example.com/m.git?ref=&x=?ref=%s", "git::https://example.com/m.git?a;ref=%s", "git::https://example.com/m.git?%%zz=1&ref=%s", "hg::https://example.com/m?ref=%s", "github.com/acme/net?rev=%s",
		"git@github.com:acme/net.git?ref=main&rev=%s",
	] {
		says(sprintf(source, [sha]), "") == moves
	}
	says("git::https://example.com/m.git?ref=", "") == moves
	every source in ["https://example.com/net.git?ref=%s", "https://example.com/net.zip#?checksum=sha256:%s0123456789abcdef01234567", "https://example.com/net.zip?checksum=sha256:0&checksum=sha256:%s0123456789abcdef01234567"] {
		says(sprintf(source, [sha]), "") == movable
	}
}

test_what_can_be_moved if {
	every source in ["git::https://example.com/net.git?ref=v1.2.0", "github.com/acme/net?ref=net-1.2.0", "git::https://example.com/net.git?ref=refs/tags/stable", "https://example.com/net.zip", "s3::https://s3.amazonaws.com/b/net.zip"] {
		says(source, "") == movable
	}
}

test_at_any_depth if {
	found := data.vishwa.pinned.deny with input as about({"inner": {"source": "./inner", "module": {"module_calls": {"net": {"source": "github.com/acme/net"}}}}})
	{f.message | some f in found} == {`module "net" is of a repository without a ref: its default branch moves`}
}

test_without_a_plan if {
	count(data.vishwa.pinned.deny | data.vishwa.pinned.warn) == 0 with input as object.union(about({}), {"terraform": null})
}

test_nothing_is_said_of_what_is_kept if {
	doc := object.union(about({"net": {"source": "github.com/acme/net"}}), {"step": {"do": "keep"}})
	count(data.vishwa.pinned.deny) == 0 with input as doc
}

test_modules_of_tests if {
	modules := [{"name": "make of db.tftest.hcl", "source": "acme/testing/aws"}, {"name": "kept of db.tftest.hcl", "source": "acme/testing/aws", "version": "1.2.3"}, {"name": "near of db.tftest.hcl", "source": "./maker"}]
	found := data.vishwa.pinned.deny with input as object.union(about({}), {"step": {"tests": {"passed": 1, "failed": 0, "skipped": 0, "failures": [], "modules": modules}}})
	{f.message | some f in found} == {`module "make of db.tftest.hcl" is of a registry without an exact version`}
}
