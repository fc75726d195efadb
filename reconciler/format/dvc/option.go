// Which options there are: DVC refuses a file that has others, in every command.

package dvc

import (
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// options are those of each section (dvc/config_schema.py of DVC 3.67). Of a section that
// is not listed, any are taken.
var options = map[string][]string{
	"core":    strings.Fields("remote checksum_jobs interactive analytics hardlink_lock no_scm autostage experiments check_update site_cache_dir machine"),
	"cache":   strings.Fields("dir type protected shared slow_link_warning verify local s3 gs hdfs webhdfs ssh azure"),
	"state":   strings.Fields("dir row_limit row_cleanup_quota"),
	"index":   {"dir"},
	"plots":   strings.Fields("html_template auto_open out_dir"),
	"exp":     strings.Fields("code data models metrics params plots live auto_push git_remote"),
	"parsing": strings.Fields("bool list"),
	"hydra":   strings.Fields("enabled config_dir config_module config_name plugins_path"),
	"studio":  strings.Fields("token url repo_url offline"),
}

// ofRemotes are the options of each kind of remote, by its URL's scheme, beside common.
var (
	common    = strings.Fields("url checksum_jobs jobs worktree no_traverse version_aware verify")
	ofRemotes = map[string][]string{
		"": strings.Fields("type protected shared slow_link_warning"),
		"s3": strings.Fields(`region profile credentialpath configpath endpointurl access_key_id secret_access_key session_token listobjects use_ssl
			allow_anonymous_login ssl_verify sse sse_kms_key_id sse_customer_algorithm sse_customer_key acl grant_read grant_read_acp
			grant_write_acp grant_full_control cache_regions read_timeout connect_timeout`),
	}
)

var (
	counted  = strings.Fields("jobs checksum_jobs")
	switched = strings.Fields("interactive analytics hardlink_lock no_scm autostage check_update protected slow_link_warning verify worktree version_aware use_ssl allow_anonymous_login")
	links    = strings.Fields("reflink hardlink symlink copy")
)

// CheckOption refuses an option or a value that DVC would refuse. remote is the URL of the
// remote that the section is of.
func CheckOption(section, key, value, remote string) error {
	kind, _, _ := strings.Cut(section, " ")
	known, ok := options[kind]
	if kind == "remote" {
		scheme, _, of := strings.Cut(remote, "://")
		if !of {
			scheme = ""
		}
		if known, ok = ofRemotes[scheme]; !ok {
			return nil // of a kind that is DVC's alone
		}
		known = append(slices.Clone(common), known...)
	}
	if !ok {
		var names []string
		for name := range options {
			names = append(names, name)
		}
		slices.Sort(names)
		if kind == "machine" || kind == "feature" || kind == "db" {
			return nil
		}
		return fault.WithHint(fault.New(fault.Invalid, "there is no section %s", kind), "choose of %s", strings.Join(names, ", "))
	}
	key = strings.ToLower(key)
	if !slices.Contains(known, key) {
		return fault.WithHint(fault.New(fault.Invalid, "%s has no option %s", kind, key), "choose of %s", strings.Join(known, ", "))
	}
	switch {
	case key == "type" && kind == "cache":
		for _, t := range LinkTypes(value) {
			if !slices.Contains(links, t) {
				return fault.WithHint(fault.New(fault.Invalid, "cache.type %q is unknown", t), "choose of %s", strings.Join(links, ", "))
			}
		}
	case slices.Contains(counted, key):
		if n, err := strconv.Atoi(value); err != nil || n < 1 {
			return fault.WithHint(fault.New(fault.Invalid, "%s is %q", key, value), "give a number from 1 on")
		}
	case slices.Contains(switched, key):
		if v := strings.ToLower(value); v != "true" && v != "false" {
			return fault.WithHint(fault.New(fault.Invalid, "%s is %q", key, value), "write true or false")
		}
	case key == "shared" && strings.ToLower(value) != "group":
		return fault.WithHint(fault.New(fault.Invalid, "shared is %q", value), "write group, or take it away with -u")
	}
	return nil
}

// LinkTypes are those of cache.type, in their order.
func LinkTypes(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(`, "'`, r) })
}
