package dispatch

import (
	"maps"
	"testing"
)

func TestARunFindsItsTrainer(t *testing.T) {
	whole := map[string]string{
		"KUBEFLOW_TRAINER_SERVER_URL":     "https://trainer.kubeflow-system.svc:10443/apis/x",
		"KUBEFLOW_TRAINER_SERVER_CA_CERT": TrainerDir + "/ca.crt",
		"KUBEFLOW_TRAINER_SERVER_TOKEN":   TrainerDir + "/token",
	}
	for name, c := range map[string]struct {
		change map[string]string
		none   bool
	}{
		"as Trainer gives it":         {},
		"no Trainer":                  {change: map[string]string{"KUBEFLOW_TRAINER_SERVER_URL": ""}, none: true},
		"in the clear":                {change: map[string]string{"KUBEFLOW_TRAINER_SERVER_URL": "http://trainer"}, none: true},
		"a token of somebody else's":  {change: map[string]string{"KUBEFLOW_TRAINER_SERVER_TOKEN": "/var/run/secrets/kubernetes.io/serviceaccount/token"}, none: true},
		"a token above":               {change: map[string]string{"KUBEFLOW_TRAINER_SERVER_TOKEN": TrainerDir + "/../token"}, none: true},
		"a certificate of the ticket": {change: map[string]string{"KUBEFLOW_TRAINER_SERVER_CA_CERT": "/vishwa/ticket/ticket"}, none: true},
		"no token":                    {change: map[string]string{"KUBEFLOW_TRAINER_SERVER_TOKEN": ""}, none: true},
	} {
		env := maps.Clone(whole)
		maps.Copy(env, c.change)
		env["AWS_SECRET_ACCESS_KEY"] = "secret"
		got := TrainerVars(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		if c.none && got != nil || !c.none && !maps.Equal(got, whole) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
