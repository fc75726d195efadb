// Runs and deployments are begun nowhere else than the machine's owner says, whatever a declaration names.

package wrap

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestRunsAreBegunWhereTheyMayBe(t *testing.T) {
	may := &Reach{
		Runners:  []string{"https://airflow.example.com", "ssh://ml@gpu-box", "unix:///run/docker.sock", "https://jenkins.example.com/ci"},
		Clusters: []ClusterReach{{Context: "prod", Namespaces: []string{"models"}}, {Namespaces: []string{"here"}}},
	}
	clusters := map[string]schemas.Cluster{
		"ours": {Context: "prod", Namespace: "models"}, "near": {Namespace: "here"}, "system": {Context: "prod", Namespace: "kube-system"},
		"other": {Context: "staging", Namespace: "models"}, "current": {Namespace: "models"},
	}
	airflow := func(url string) schemas.Runner {
		return schemas.Runner{Airflow: &schemas.AirflowRunner{URL: url, DAG: "d"}}
	}
	docker := func(host string) schemas.Runner { return schemas.Runner{Docker: &schemas.DockerRunner{Host: host}} }
	for name, c := range map[string]struct {
		r   schemas.Runner
		add string // what is to be added; "" is that it may
	}{
		"airflow":             {airflow("https://airflow.example.com/"), ""},
		"below it":            {airflow("https://airflow.example.com/team"), ""},
		"another's":           {airflow("https://evil.example"), "runners"},
		"a host that begins":  {airflow("https://airflow.example.com.evil.example"), "runners"},
		"a user that begins":  {airflow("https://airflow.example.com@evil.example"), "runners"},
		"without TLS":         {airflow("http://airflow.example.com"), "runners"},
		"another port":        {airflow("https://airflow.example.com:444"), "runners"},
		"out of the path":     {schemas.Runner{Jenkins: &schemas.JenkinsRunner{URL: "https://jenkins.example.com/ci/../x"}}, "runners"},
		"out of it, encoded":  {schemas.Runner{Jenkins: &schemas.JenkinsRunner{URL: "https://jenkins.example.com/ci/%2E%2e/x"}}, "runners"},
		"jenkins":             {schemas.Runner{Jenkins: &schemas.JenkinsRunner{URL: "https://jenkins.example.com/ci"}}, ""},
		"ray":                 {schemas.Runner{Ray: &schemas.RayRunner{URL: "http://head:8265"}}, "runners"},
		"pipelines":           {schemas.Runner{Kubeflow: &schemas.KubeflowRunner{Pipelines: &schemas.KubeflowPipelines{URL: "https://kfp.example.com"}}}, "runners"},
		"two tools":           {schemas.Runner{Docker: &schemas.DockerRunner{Host: "ssh://ml@gpu-box"}, Ray: &schemas.RayRunner{URL: "http://head:8265"}}, "runners"},
		"the machine's own":   {docker(""), ""},
		"a listed engine":     {docker("ssh://ml@gpu-box"), ""},
		"a listed socket":     {docker("unix:///run/docker.sock"), ""},
		"another's engine":    {docker("tcp://10.0.0.1:2375"), "runners"},
		"as another user":     {docker("ssh://root@gpu-box"), "runners"},
		"another socket":      {docker("unix:///run/docker.sock2"), "runners"},
		"a namespace":         {schemas.Runner{Kubernetes: &schemas.KubernetesRunner{Cluster: "ours"}}, ""},
		"in the cluster":      {schemas.Runner{Kubernetes: &schemas.KubernetesRunner{Cluster: "near"}}, ""},
		"the system's":        {schemas.Runner{Kubernetes: &schemas.KubernetesRunner{Cluster: "system"}}, "clusters"},
		"another context":     {schemas.Runner{Kubernetes: &schemas.KubernetesRunner{Cluster: "other"}}, "clusters"},
		"the current context": {schemas.Runner{Kubernetes: &schemas.KubernetesRunner{Cluster: "current"}}, "clusters"},
		"a TrainJob":          {schemas.Runner{Kubeflow: &schemas.KubeflowRunner{Cluster: "system"}}, "clusters"},
		"an unknown cluster":  {schemas.Runner{Kubernetes: &schemas.KubernetesRunner{Cluster: "gone"}}, "clusters"},
	} {
		err := may.Runner(clusters, c.r)
		if (err == nil) != (c.add == "") || err != nil && (fault.Of(err) != fault.Denied || !strings.Contains(fault.HintOf(err), " to "+c.add+" of this repository")) {
			t.Errorf("%s: %v (%s)", name, err, fault.HintOf(err))
		}
		if (*Reach)(nil).Runner(clusters, c.r) != nil {
			t.Errorf("%s: is refused where nobody bounds it", name)
		}
		if c.r.Docker == nil && (&Reach{}).Runner(clusters, c.r) == nil {
			t.Errorf("%s: is let where nothing is listed", name)
		}
	}
}

// A model server is the folder and the address together: another's folder is not written by one's own address.
func TestAModelServerIsReachedWhereItIsListed(t *testing.T) {
	a := &Reach{ModelServers: []ModelServerReach{{"/srv/models", "http://127.0.0.1:8501"}, {"/srv/other", "http://127.0.0.1:9501/"}}}
	for _, m := range []schemas.ModelServer{{Folder: "/srv/models", URL: "http://127.0.0.1:8501"}, {Folder: "/srv/models/", URL: "http://127.0.0.1:8501/"}, {Folder: "/srv/other", URL: "http://127.0.0.1:9501"}} {
		if err := a.ModelServer(m); err != nil {
			t.Errorf("%+v: %v", m, err)
		}
		if err := (*Reach)(nil).ModelServer(m); err != nil {
			t.Errorf("without a file: %v", err)
		}
	}
	for _, m := range []schemas.ModelServer{{Folder: "/srv/models", URL: "http://127.0.0.1:9501"}, {Folder: "/srv/models/../other", URL: "http://127.0.0.1:8501"}, {Folder: "/srv/models/x", URL: "http://127.0.0.1:8501"},
		{Folder: "/srv", URL: "http://127.0.0.1:8501"}, {Folder: "/srv/models", URL: "http://127.0.0.1:8501/x"}, {}} {
		if err := a.ModelServer(m); fault.Of(err) != fault.Denied || fault.HintOf(err) == "" {
			t.Errorf("%+v: %v", m, err)
		}
	}
}

// The path of an engine's address is the engine: who may use one of a machine's does not get the others of its user. What an address leaves to
// say makes no other of it.
func TestAnEngineIsTheOneThatIsListed(t *testing.T) {
	may := &Reach{Runners: []string{"ssh://ml@gpu", "ssh://ml@fat/run/user/7/docker.sock", "unix:///run/team", "tcp://box:2376", "https://airflow.example.com"}}
	for host, let := range map[string]bool{
		"ssh://ml@gpu": true, "ssh://ml@gpu/": true, "ssh://ml@gpu:22": true, "ssh://ml@gpu/var/run/docker.sock": true, "ssh://ml@GPU:22/var/run/docker.sock": true,
		"ssh://ml@gpu/run/podman/podman.sock": false, "ssh://ml@gpu/run/user/1001/docker.sock": false, "ssh://ml@gpu:2222": false, "ssh://gpu": false, "ssh://ML@gpu": false,
		"ssh://ml@gpu/var/run/docker.sock/../x.sock": false, "ssh://ml@gpu?x": false, "ssh://ml@gpu#/x": false, "ssh://ml:x@gpu": false, "ssh:ml@gpu": false, "ssh://ml%40gpu": false,
		"ssh://ml@fat:22/run/user/7/docker.sock": true, "ssh://ml@fat": false, "ssh://ml@fat/run/user/7/docker.sock/x": false,
		"unix:///run/team": true, "unix:///run/team/other.sock": false, "unix://run/team": false, "unix:/run/team": true, "unix:run/team": false,
		"tcp://box:2376": true, "tcp://BOX:2376": true, "tcp://box:2375": false, "tcp://box": false, "tcp://box:2376/other": false, "https://box:2376": false,
		"ssh://airflow.example.com": false, "": true,
	} {
		docker := schemas.Runner{Docker: &schemas.DockerRunner{Host: host}}
		if err := may.Runner(nil, docker); (err == nil) != let {
			t.Errorf("a run at %q: %v", host, err)
		}
		if err := may.Release(port.Release{Docker: &port.DockerRelease{Host: host}}); (err == nil) != let {
			t.Errorf("a release at %q: %v", host, err)
		}
	}
}
