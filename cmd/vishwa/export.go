// vishwa export: the file by which a scheduler begins Vishwa's worker.

package main

import (
	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/templates"
)

func (a *cli) exportVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "export", Short: "Print what a scheduler needs to carry out runs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.exportAirflowVerb(), a.exportJenkinsVerb())
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
