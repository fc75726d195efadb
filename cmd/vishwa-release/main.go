// Command vishwa-release builds what a release consists of, and signs and verifies it
// with keys as vishwa keys generate makes them. make release calls it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const use = `usage:
  vishwa-release build  --version VERSION --commit COMMIT --sbom CYCLONEDX-GOMOD --out DIR
  vishwa-release image  --version VERSION --commit COMMIT --sbom CYCLONEDX-GOMOD --out DIR
                        [--base IMAGE@sha256:... | --packages NAME,...] [--arch ARCH] [--push REPOSITORY]
  vishwa-release verify --version VERSION --key BUILD.PUB DIR

build writes a program a platform, its software bill of materials, SHA256SUMS and a
signature over all of them. The keys are in the folder VISHWA_KEYS, their password in
VISHWA_KEY_PASSWORD.

image writes an image of the controller and the worker, with its bill of materials, in the
form of OCI. Below them is the base, or else what Debian has installed here of Git and what
more packages are named.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "vishwa-release: %s\n", err)
		fmt.Fprintf(os.Stderr, "  %s\n", fault.WayOut(err))
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fault.WithHint(fault.New(fault.Invalid, "no command is given"), "%s", use)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(os.Stderr)
	version := flags.String("version", "", "the release's version")
	commit := flags.String("commit", "", "the commit that it is built from")
	sbom := flags.String("sbom", "", "the program cyclonedx-gomod")
	out := flags.String("out", "", "a folder that is not there or is empty")
	key := flags.String("key", "", "the public key that the release has to be signed with")
	o := imageOrder{}
	flags.StringVar(&o.base, "base", "", "the image that the programs are laid over, by digest; it has to have git")
	flags.StringVar(&o.packages, "packages", "", "more packages of this machine's Debian, with commas between")
	flags.StringVar(&o.push, "push", "", "a repository of a registry that the image is pushed to")
	flags.StringVar(&o.arch, "arch", runtime.GOARCH, "the processor that the image is for")
	if err := flags.Parse(args[1:]); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "%w", err), "%s", use)
	}
	if *version == "" || strings.ContainsAny(*version, " \t\n@?#'\"") {
		return fault.WithHint(fault.New(fault.Invalid, "%q is not a version", *version), "give --version, as git describe --tags prints it")
	}
	switch {
	case args[0] == "build" && *out != "" && *sbom != "" && flags.NArg() == 0:
		return release(ctx, *out, *sbom, build{version: *version, commit: *commit})
	case args[0] == "image" && *out != "" && *sbom != "" && flags.NArg() == 0:
		o.out, o.sbom, o.build = *out, *sbom, build{version: *version, commit: *commit}
		at, err := image(ctx, o)
		if err != nil {
			return err
		}
		fmt.Println(at)
		return nil
	case args[0] == "verify" && *key != "" && flags.NArg() == 1:
		if err := verify(ctx, flags.Arg(0), *key, *version); err != nil {
			return err
		}
		fmt.Printf("Release %s in %s: every file is the one that was signed.\n", *version, flags.Arg(0))
		return nil
	}
	return fault.WithHint(fault.New(fault.Invalid, "%s: arguments are missing", args[0]), "%s", use)
}

// release makes the whole release in out, which has to be a new or an empty folder.
func release(ctx context.Context, out, sbom string, b build) error {
	if strings.HasSuffix(b.version, "-dirty") {
		return fault.WithHint(fault.New(fault.Invalid, "the work tree differs from the commit: nobody could build the same again"), "commit first, or put the changes aside with git stash")
	}
	keys, err := openKeys(os.LookupEnv) // before minutes of building
	if err != nil {
		return err
	}
	if left, err := os.ReadDir(out); err == nil && len(left) > 0 {
		return fault.WithHint(fault.New(fault.Conflict, "%s is not empty", out), "remove it: rm -r %s", out)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fault.New(fault.Invalid, "make the folder: %w", err)
	}
	for _, p := range platforms {
		path := filepath.Join(out, p.file())
		if err := b.program(ctx, p, path); err != nil {
			return err
		}
		if err := materials(ctx, sbom, path, b.version); err != nil {
			return err
		}
		fmt.Println(path)
	}
	if err := keys.seal(ctx, out, b.version); err != nil {
		return err
	}
	if err := verify(ctx, out, filepath.Join(out, keyFile), b.version); err != nil {
		return err
	}
	fmt.Printf("%s: signed and verified\n", filepath.Join(out, sumsFile))
	return nil
}
