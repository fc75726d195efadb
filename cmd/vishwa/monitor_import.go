// vishwa monitor import: the baseline of another program becomes a reference.

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/sagemaker"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

const mostBaseline = 64 << 20 // bytes of a file

func (a *cli) monitorImport() *cobra.Command {
	cmd := &cobra.Command{Use: "import", Short: "Import the baseline of another program as a reference", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.importsSageMaker())
	return cmd
}

func (a *cli) importsSageMaker() *cobra.Command {
	var bounds, deployment, name string
	cmd := &cobra.Command{
		Use: "sagemaker STATISTICS", Short: "Import statistics.json and constraints.json of SageMaker Model Monitor", Args: cobra.ExactArgs(1),
		Long: `Takes over the baseline of SageMaker Model Monitor: a Dataset whose rows have the distributions of
statistics.json, each column by itself, the checks that constraints.json asks of its columns, and a
Monitor that compares the deployment with it. Writes data/NAME.csv and vishwa/NAME.yaml, and replaces
no file that is there.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := schemas.ParseRef("dataset/" + name)
			if err != nil || ref.Output != "" {
				return usage(cmd, fmt.Errorf("--name %q is not a name: use lower-case letters, digits and hyphens", name))
			}
			watched, err := schemas.ParseRef(deployment)
			if err != nil || !watched.Kind.Traits().Serves || watched.Output != "" {
				return usage(cmd, fmt.Errorf("--deployment %q is not the ref of a deployment, such as deployment/price", deployment))
			}
			stats, err := readBaseline(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			var asked []byte
			if bounds != "" {
				if asked, err = readBaseline(cmd.Context(), bounds); err != nil {
					return err
				}
			}
			b, err := sagemaker.Read(stats, asked)
			if err != nil {
				return err
			}
			return a.writeBaseline(b, name, watched.String())
		},
	}
	cmd.Flags().StringVar(&bounds, "constraints", "", "constraints.json, as `FILE`")
	cmd.Flags().StringVar(&deployment, "deployment", "", "the `REF` of the deployment that is compared with it")
	cmd.Flags().StringVar(&name, "name", "baseline", "what the dataset and the monitor are called")
	_ = cmd.MarkFlagRequired("deployment")
	return cmd
}

func readBaseline(ctx context.Context, path string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Cancelled, "read %s: %w", path, err)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s is not there", path), "download it from the baseline's results in S3")
	}
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "read %s: %w", path, err), "name a file that this user may read")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, mostBaseline+1))
	switch {
	case err != nil:
		return nil, fault.WithHint(fault.New(fault.Invalid, "read %s: %w", path, err), "name a file that this user may read")
	case len(raw) > mostBaseline:
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s is larger than 64 MiB", path), "give the statistics or the constraints of one baseline")
	}
	return raw, nil
}

// shuffleColumn puts the values of a column in an order that its name decides.
func shuffleColumn(column string, n int, swap func(i, j int)) {
	seed := sha256.Sum256([]byte(column))
	rand.New(rand.NewPCG(binary.LittleEndian.Uint64(seed[:]), binary.LittleEndian.Uint64(seed[8:]))).Shuffle(n, swap)
}

// writeBaseline writes both files, or none where one of them is there.
func (a *cli) writeBaseline(b sagemaker.Baseline, name, deployment string) error {
	r, err := repo.Open(a.dir, repo.Options{})
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Bare() {
		return fault.WithHint(fault.New(fault.Invalid, "a bare repository has no folder to write to"), "run this in a clone")
	}
	data, declared := "data/"+name+".csv", "vishwa/"+name+".yaml"
	for _, path := range []string{data, declared} {
		if _, err := os.Lstat(filepath.Join(r.Dir(), filepath.FromSlash(path))); err == nil {
			return fault.WithHint(fault.New(fault.Conflict, "%s already exists", path), "give another --name, or remove it")
		}
	}
	var rows bytes.Buffer
	if err := b.WriteRows(&rows, shuffleColumn); err != nil {
		return fault.New(fault.Internal, "write the rows: %w", err)
	}
	if err := writeNew(r.Dir(), data, rows.Bytes()); err != nil {
		return err
	}
	if err := writeNew(r.Dir(), declared, []byte(b.Declare(name, data, deployment))); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "Wrote %s (%s of %s) and %s.\n", data, plural.Of(b.Rows(), "row"), plural.Of(len(b.Columns), "column"), declared)
	for _, note := range b.Notes {
		fmt.Fprintf(a.out, "Note: %s.\n", note)
	}
	fmt.Fprintf(a.out, "Next: look at them, commit them, run vishwa apply, then vishwa monitor run monitor/%s.\n", name)
	return nil
}
