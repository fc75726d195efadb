// vishwa export: the file by which a scheduler begins Vishwa's worker, and the graph for one that
// carries it out alone.

package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func (a *cli) exportVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "export", Short: "Print what a scheduler needs to carry out runs, or the graph for it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.exportAirflowVerb(), a.exportJenkinsVerb(), a.exportKubeflowVerb())
	return cmd
}

func (a *cli) exportAirflowVerb() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "airflow",
		Short: "Print the DAG that an airflow runner triggers",
		Long: `Print the file of one DAG for Airflow 2.9 or newer, or 3, that carries out runs: put it
into Airflow's folder of DAGs, and name the DAG in a runner of the Project
(spec.runners.NAME.airflow). It needs Python's standard library alone.

Whoever may trigger the DAG begins commands on Airflow's machines. Whoever may see a run
of it sees the ticket in the run's conf: they can read what that run reads, and write what
comes out of it, until it ends.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := templates.AirflowDAG(name)
			if err == nil {
				_, err = a.out.Write(text)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&name, "dag", "vishwa", "the `NAME` of the DAG")
	return cmd
}

func (a *cli) exportJenkinsVerb() *cobra.Command {
	var label string
	cmd := &cobra.Command{
		Use:   "jenkins",
		Short: "Print the pipeline that a jenkins runner builds",
		Long: `Print the Jenkinsfile of one Pipeline job that carries out runs: make the job, build it
once by hand so that Jenkins knows its parameters (that build does nothing), and name it
in a runner of the Project (spec.runners.NAME.jenkins).

Whoever may build the job begins commands on Jenkins's machines. The ticket of a run is a
password parameter, which Jenkins does not show; its administrators can read it.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := templates.JenkinsPipeline(label)
			if err == nil {
				_, err = a.out.Write(text)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&label, "label", "", "the `LABEL` of the machines that it runs on; without it, any")
	return cmd
}

func (a *cli) exportKubeflowVerb() *cobra.Command {
	var image, out string
	cmd := &cobra.Command{
		Use:   "kubeflow",
		Short: "Print the graph as a pipeline of Kubeflow Pipelines",
		Long: `Print what the work tree declares as one pipeline of Kubeflow Pipelines 2: each dataset is
a parameter that says where the data lies, each transform and each candidate of a training
is a step, and so is each model, which chooses the best candidate and checks it against its
gates. Steps have their code with them, make the environment that their requirements name,
and check data against its pin. They are lightweight components: an image needs Python 3.8
or newer, and kfp or the way to a package index. The SDK's local runners carry them out, too.

What such a pipeline makes is Kubeflow's: nothing of it is recorded, signed, approved or
served by Vishwa, and no step runs in a sandbox. For runs that count, declare a runner.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			in, err := s.Intent(cmd.Context())
			if err != nil {
				return err
			}
			text, err := templates.KubeflowPipeline(projectName(in.Decls), in.Graph, in.Tree, templates.Exported{Image: image, Lies: app.Shared(in.Project)})
			if err != nil {
				return err
			}
			if out == "" {
				_, err = a.out.Write(text)
				return err
			}
			if err := os.WriteFile(a.path(out), text, 0o644); err != nil {
				return fault.New(fault.Denied, "write the pipeline: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&image, "image", "", "the `IMAGE` of steps that declare none; it has Python 3.8 or newer")
	cmd.Flags().StringVarP(&out, "out", "o", "", "write it to `FILE`")
	return cmd
}

// projectName is what the project is called.
func projectName(decls []schemas.Declaration) string {
	for i := range decls {
		if decls[i].Traits().Settings {
			return decls[i].Ref().Name
		}
	}
	return ""
}
