// Package config reads and checks the file of a controller: what it may say, and what
// it means where it is silent.
package config

import (
	"cmp"
	"path/filepath"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/price"
	"github.com/vishwaops/vishwa/reconciler/format/terraform"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

// Spec is the spec of a controller's file. The zero value of a field means its default.
type Spec struct {
	// Listen is where health, metrics and webhooks are served: host:port. The default is 127.0.0.1:8700.
	Listen string `yaml:"listen"`
	// Metrics says where health and metrics are served apart from webhooks.
	Metrics Metrics `yaml:"metrics"`
	// Webhook says how webhooks are known to be GitHub's.
	Webhook Webhook `yaml:"webhook"`
	// Notifications says how what stores and trackers send is known to be theirs. One leads to a look at sources that have a refresh schedule, before their time.
	Notifications Notifications `yaml:"notifications"`
	// Poll is how often each repository is looked at, with one ls-remote. The default is 60s.
	Poll time.Duration `yaml:"poll"`
	// Sweep is how often each forge is asked for open pull requests and their remarks: what refs do not show. The default is 10m.
	Sweep time.Duration `yaml:"sweep"`
	// Jitter is how far a tick may be moved, so that repositories are not looked at all at once. The default is a tenth of poll.
	Jitter time.Duration `yaml:"jitter"`
	// Timeout ends a look or a sweep that gets no answer, and a look at a stranger's pull request; opening a repository has ten times as long. The default is 60s.
	Timeout time.Duration `yaml:"timeout"`
	// Parallel is how many passes may be under way at once over all repositories. No repository can take them all. The default is 32.
	Parallel int `yaml:"parallel"`
	// Pulls is how many pull requests of one repository are looked at at once. The default is 4.
	Pulls int `yaml:"pulls"`
	// Strangers is how many pull requests by people who may not write to the repository are looked at at once over all repositories. They wait for each other alone, and each look at one ends after timeout. The default is 2.
	Strangers int `yaml:"strangers"`
	// Lease is how controllers of the same repository take turns.
	Lease Lease `yaml:"lease"`
	// Replicas says how several controllers that have this file share its repositories.
	Replicas Replicas `yaml:"replicas"`
	// Shutdown says what becomes of the passes that are under way when the controller is asked to stop.
	Shutdown Shutdown `yaml:"shutdown"`
	// Log says what is logged, and how.
	Log Log `yaml:"log"`
	// State is the folder that remembers which refs were settled. The default is vishwa/controller below the user's state directory.
	State string `yaml:"state"`
	// Keys is the folder of the controller's keys. The default is that of vishwa keys.
	Keys string `yaml:"keys"`
	// KeyPassword opens the keys.
	KeyPassword *Secret `yaml:"keyPassword"`
	// SealKey is what seals the notes that the controller keeps of its runs: 32 random bytes or more, in any spelling. A controller that lost its state, or another one, finds runs elsewhere again that were begun under the same key. Without it, each state folder has a key of its own.
	SealKey *Secret `yaml:"sealKey"`
	// Isolation says how what repositories run is kept apart from this machine.
	Isolation Isolation `yaml:"isolation"`
	// Prices names runners, as repositories do, with what each costs; plans then tell an estimated cost, which rules see as input.plan.estimatedCost. A runner that is not there costs nothing.
	Prices map[string]Price `yaml:"prices"`
	// ResourcePrices names types of Terraform's resources, such as aws_instance, or aws_iam_* for all that it fits, with what one costs a month; plans then tell what infrastructure costs, which rules see as input.plan.monthlyCost. What no price fits is named as not known.
	ResourcePrices map[string]ResourcePrice `yaml:"resourcePrices"`
	// Alerts lists who is notified of what monitors find, and of infrastructure that has drifted.
	Alerts []Alert `yaml:"alerts"`
	// Repositories lists what is reconciled.
	Repositories []Repository `yaml:"repositories"`
}

// Price is what a runner costs, in whatever money.
type Price struct {
	// CPUHour is what one processor costs an hour.
	CPUHour float64 `yaml:"cpuHour"`
	// MemoryGiBHour is what a GiB of memory costs an hour.
	MemoryGiBHour float64 `yaml:"memoryGiBHour"`
	// GPUHour maps a kind of GPU, as gpuKind has it, to what one costs an hour; any is each that is not named.
	GPUHour map[string]float64 `yaml:"gpuHour"`
}

// ResourcePrice is what one resource costs a month, in whatever money.
type ResourcePrice struct {
	// Monthly is what it costs whatever its attributes are.
	Monthly float64 `yaml:"monthly"`
	// By names an attribute whose value has a price, such as instance_type; a dot leads into a block.
	By string `yaml:"by"`
	// Values maps values of that attribute to what each costs a month; any is each that is not named.
	Values map[string]float64 `yaml:"values"`
	// Per maps attributes that are numbers, such as a disk's size, to what each that they count costs a month.
	Per map[string]float64 `yaml:"per"`
	// Times names an attribute that is a number, such as scaling_config.desired_size, by which all of it is multiplied.
	Times string `yaml:"times"`
}

// Table is what runners and resources cost.
func (c Spec) Table() price.Prices {
	out := price.Prices{Runners: map[string]price.Runner{}, Resources: terraform.Prices{}}
	for kind, p := range c.ResourcePrices {
		out.Resources[kind] = terraform.Price{Monthly: p.Monthly, By: p.By, Values: p.Values, Per: p.Per, Times: p.Times}
	}
	for name, p := range c.Prices {
		out.Runners[name] = price.Runner{CPUHour: p.CPUHour, MemoryGiBHour: p.MemoryGiBHour, GPUHour: p.GPUHour}
	}
	return out
}

// Isolation says how what repositories run is kept apart from this machine.
type Isolation struct {
	// Level is the strongest that is tried: best, namespaces, landlock, or none. None lets code of pull requests do whatever this user may. The default is best.
	Level string `yaml:"level"`
	// Read lists folders and files that every run may read, besides the system's, such as large data that is not declared.
	Read []string `yaml:"read"`
	// Write lists folders that runs of tracked branches may write, such as scratch disks. Those of pull requests may not.
	Write []string `yaml:"write"`
	// Devices lists device files that every run may use, as patterns, such as /dev/nvidia*.
	Devices []string `yaml:"devices"`
	// Index lists hosts with their ports that installers of Python packages may reach, besides pypi.org and those of their own settings.
	Index []string `yaml:"index"`
	// Limits is what one run may use.
	Limits IsolationLimits `yaml:"limits"`
}

// IsolationLimits is what one run may use.
type IsolationLimits struct {
	// Memory is that of all its processes, such as 16Gi. The default is nine tenths of the machine's.
	Memory string `yaml:"memory"`
	// Disk is what its folders may hold. The default is 256Gi.
	Disk string `yaml:"disk"`
	// FileSize is that of each of its files. There is no default.
	FileSize string `yaml:"fileSize"`
	// Processes is how many it may have, threads included. The default is 4096.
	Processes string `yaml:"processes"`
	// OpenFiles is how many each process may have open. The default is 65536.
	OpenFiles string `yaml:"openFiles"`
	// CPUs is how many cores it may use, such as 2 or 0.5; control groups alone can hold it. There is no default.
	CPUs string `yaml:"cpus"`
}

// Policy is what the file says, as it is carried out.
func (i Isolation) Policy() (p wall.Policy, err error) {
	if p.Level, err = wall.ParseLevel(i.Level); err != nil {
		return p, err
	}
	p.Read, p.Write, p.Devices, p.Index = slices.Clone(i.Read), slices.Clone(i.Write), slices.Clone(i.Devices), slices.Clone(i.Index)
	l := i.Limits
	for name, value := range map[string]string{"memory": l.Memory, "disk": l.Disk, "fileSize": l.FileSize, "processes": l.Processes, "openFiles": l.OpenFiles, "cpus": l.CPUs} {
		if value == "" {
			continue
		}
		if err := p.Limits.Set(name, value); err != nil {
			return p, err
		}
	}
	return p, p.Check()
}

// Cluster is what of a Kubernetes cluster a repository may use.
type Cluster struct {
	// Context is a context of the kubeconfig, as its Project declares it; without it, the current one, or the cluster that the controller runs in.
	Context string `yaml:"context"`
	// Namespaces are those that it may use.
	Namespaces []string `yaml:"namespaces"`
}

// Metrics says where health and metrics are served apart from webhooks.
type Metrics struct {
	// Listen is where health, readiness and metrics are served, and nothing else: host:port. What is at the other address then serves webhooks alone. Without it, all are served there.
	Listen string `yaml:"listen"`
}

// Webhook says how webhooks are known to be GitHub's.
type Webhook struct {
	// Off serves no webhooks: polling alone triggers.
	Off bool `yaml:"off"`
	// Secret is what GitHub signs them with.
	Secret *Secret `yaml:"secret"`
	// Previous is the secret before, which still counts while a new one is put in place.
	Previous *Secret `yaml:"previous"`
}

// Notifications says how what stores and trackers send is known to be theirs.
type Notifications struct {
	// Token is what notifications of a bucket carry at /webhooks/bucket, as Authorization: Bearer TOKEN. Without it, none are taken.
	Token *Secret `yaml:"token"`
	// MLflow is the secret that MLflow signs its webhooks with, for /webhooks/mlflow. Without it, none are taken.
	MLflow *Secret `yaml:"mlflow"`
}

// Lease is how controllers of the same repository take turns.
type Lease struct {
	// Duration is after how long the lease of a controller that has ended is taken over. The default is 60s.
	Duration time.Duration `yaml:"duration"`
	// Name tells this controller from the others. The default is the machine's name.
	Name string `yaml:"name"`
}

// Replicas says how several controllers that have this file share its repositories.
type Replicas struct {
	// Repository is the listed repository, by its name, where they find each other: each moves a ref of its own below refs/vishwa/replicas there. Each repository then has one controller that works on it; one that gives no sign of life for lease.duration is taken over by the others. Without it, each controller works on all of them.
	Repository string `yaml:"repository"`
	// Peers lists where webhooks reach the controllers: host:port, a host with one address or several. A controller that receives a webhook of a repository that is another's hands it on, signed as it is, to all of them. Without it, the poll finds the change.
	Peers []string `yaml:"peers"`
}

// What becomes of runs at the end.
const (
	Finish   = "finish"    // they are waited for
	HandBack = "hand-back" // they are left to whoever comes next
)

// Shutdown says what becomes of the passes that are under way when the controller is asked to stop.
type Shutdown struct {
	// Runs is finish, to wait for them, or hand-back, to leave them to whoever comes next. The default is hand-back.
	Runs string `yaml:"runs"`
	// Grace is how long the end may take; what is not finished by then is handed back. The default is 30s.
	Grace time.Duration `yaml:"grace"`
}

// Log says what is logged, and how.
type Log struct {
	// Level is debug, info, warn or error. The default is info.
	Level string `yaml:"level"`
	// Format is json or text. The default is json.
	Format string `yaml:"format"`
}

// Repository is one repository that is reconciled: url or path is set.
type Repository struct {
	// Name is for people, logs and metrics. The default is the address without scheme and suffix: github.com/owner/name.
	Name string `yaml:"name"`
	// URL is where it is cloned from. It holds no user and no password.
	URL string `yaml:"url"`
	// Path is a repository on this machine, whose refs are watched.
	Path string `yaml:"path"`
	// Branches are the tracked branches. The default is the remote's default branch.
	Branches []string `yaml:"branches"`
	// GitHub says how its pull requests are reached; without it, branches alone are reconciled.
	GitHub *GitHub `yaml:"github"`
	// Pass lists variables of the controller's environment that runs of pull requests, and Terraform plans as far as their base lists them in planPass, may see. The default is none.
	Pass []string `yaml:"pass"`
	// Allow lists the private hosts and networks (names, addresses, CIDRs) that datasets may be read from over HTTP, by a declared S3 endpoint or from brokers of Kafka, and pull requests' own remotes with the controller's S3 credentials. Without it, there are none.
	Allow []string `yaml:"allow"`
	// Packages lists the repositories of container registries that it may pack models to, with the controller's credentials: names such as registry.example.com/team/churn, or registry.example.com/team/* for all below. Without it, there are none.
	Packages []string `yaml:"packages"`
	// Trackers lists the addresses of trackers that it may be shown in, with the controller's credentials: https://mlflow.example.com, with all below it. Without it, there are none.
	Trackers []string `yaml:"trackers"`
	// Runners lists the addresses that its runs may be begun at, with the controller's credentials: of an Airflow, a Jenkins, a Ray or a server of Kubeflow Pipelines, such as https://airflow.example.com, with all below it, or of a Docker Engine, such as ssh://gpu-box. Without it, there are none.
	Runners []string `yaml:"runners"`
	// Clusters lists the namespaces of Kubernetes clusters that it may run and serve in, with the controller's account. Without it, there are none.
	Clusters []Cluster `yaml:"clusters"`
	// ModelServers lists the servers of TensorFlow Serving that it may serve by, as its Project declares them: each that has a folder gives it one of the controller's machine to write to. Without it, there are none.
	ModelServers []ModelServer `yaml:"modelServers"`
	// Variables lists the variables of the controller's environment that its declarations may pass to what they run (env.pass), besides those of pass. NAME=OTHER has it see the controller's OTHER as NAME, such as AWS_ACCESS_KEY_ID=CHURN_ACCESS_KEY_ID: with one of AWS's or VISHWA_OCI's, it sees no other of these that is not listed. Without it, all where it is the only repository, and else those of pass.
	Variables []string `yaml:"variables"`
	// Tokens says which of the variables whose names begin with VISHWA_SOURCE_ its declarations may send, and to which addresses: {VISHWA_SOURCE_API: ["https://api.example.com"]}, with all below them; a broker is kafka://host:port. Without it, any to any where it is the only repository, and else none.
	Tokens map[string][]string `yaml:"tokens"`
	// Storage lists the places that its declarations may use with the controller's credentials, or in its folders, for stores, sources, remotes of DVC, checkpoints, logs, images and models of MLflow: s3://bucket/prefix, https://minio.example.com/bucket/prefix at an endpoint, oci://registry.example.com/team, kafka://host:port/topic at each broker that a log names, a folder, or a repository of Git, each with all below it. Without it, all where it is the only repository, and else none but the controller's own folder for it.
	Storage []string `yaml:"storage"`
	// Hosts lists the hosts whose requests Traefik, a Gateway, an ingress controller or KServe, which others share, may send to what it serves: a name, *.example.com for all names below one, or * for all. A name with a path, such as models.example.com/churn, is for that path and what is below it alone. Without it, all where it is the only repository, and else none.
	Hosts []string `yaml:"hosts"`
	// Infrastructure lets it provision, which begins Terraform as the controller's user, without a sandbox: its modules can take what is the other repositories'. The default is true where it is the only repository.
	Infrastructure *bool `yaml:"infrastructure"`
	// Network is declared, to have runs of its tracked branches reach the hosts that they declare and no other, at public addresses and at those in allow, as runs of pull requests do; or all, where a run that declares none reaches what the machine does: its loopback, the network around it and the cloud's metadata with the credentials of the machine's role. The default is all.
	Network string `yaml:"network"`
}

// ModelServer is the address of a server, and the folder that it reads.
type ModelServer struct {
	// Folder is the whole path of the folder. Without it, the server reads all from the repository's store.
	Folder string `yaml:"folder"`
	// URL is where the server is asked: http://127.0.0.1:8501.
	URL string `yaml:"url"`
}

// GitHub says how a repository's pull requests are reached: token or app is set.
type GitHub struct {
	// API is the address of a GitHub Enterprise server's REST interface. The default is that of github.com.
	API string `yaml:"api"`
	// Repository is owner/name there. The default is taken from url.
	Repository string `yaml:"repository"`
	// Token is a token of an account.
	Token *Secret `yaml:"token"`
	// App is a GitHub App that is installed in the repository.
	App *App `yaml:"app"`
}

// App is a GitHub App.
type App struct {
	// ID is the App's number.
	ID int64 `yaml:"id"`
	// Installation is the number of its installation.
	Installation int64 `yaml:"installation"`
	// Key is its private key, PEM.
	Key Secret `yaml:"key"`
}

// Secret says where a secret is; one of the two is set. A secret itself is never in the file.
type Secret struct {
	// Env is the variable that holds it.
	Env string `yaml:"env"`
	// File is the file that holds it.
	File string `yaml:"file"`
}

// Filled is c with its defaults.
func (c Spec) Filled() Spec {
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:8700")
	c.Poll = cmp.Or(c.Poll, time.Minute)
	c.Sweep = cmp.Or(c.Sweep, 10*time.Minute)
	c.Jitter = cmp.Or(c.Jitter, c.Poll/10)
	c.Timeout = cmp.Or(c.Timeout, time.Minute)
	c.Parallel = cmp.Or(c.Parallel, 32)
	c.Pulls = cmp.Or(c.Pulls, 4)
	c.Strangers = cmp.Or(c.Strangers, 2)
	c.Lease.Duration = cmp.Or(c.Lease.Duration, time.Minute)
	c.Shutdown.Runs = cmp.Or(c.Shutdown.Runs, HandBack)
	c.Shutdown.Grace = cmp.Or(c.Shutdown.Grace, 30*time.Second)
	c.Log.Level = cmp.Or(c.Log.Level, "info")
	c.Log.Format = cmp.Or(c.Log.Format, "json")
	return c
}

// rooted makes the paths that the file gives absolute: they are as seen from its folder.
func (c *Spec) rooted(dir string) {
	root := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	root(&c.State)
	root(&c.Keys)
	for i := range c.Repositories {
		root(&c.Repositories[i].Path)
	}
	for _, s := range c.secrets() {
		root(&s.File)
	}
}

// Webhooks tells whether webhooks are served.
func (c Spec) Webhooks() bool { return !c.Webhook.Off && c.Webhook.Secret != nil }
