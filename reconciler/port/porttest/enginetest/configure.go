// How the programs of the cluster are told what to do.

package enginetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// words is the command line of one of the cluster's programs.
func (k *Kubernetes) words(name string) []string {
	one := func(args ...string) []string { return slices.Concat([]string{k.program, name}, args) }
	key := k.keys.file
	admin := "--kubeconfig=" + k.Kubeconfig
	switch name {
	case "etcd":
		return []string{k.etcd, "--data-dir", k.at("etcd"), "--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
			"--listen-peer-urls", "http://127.0.0.1:2380", "--unsafe-no-fsync", "--log-level", "error"}
	case "kube-apiserver":
		return one("--etcd-servers=http://127.0.0.1:2379", "--bind-address="+Address, "--advertise-address="+Address, "--secure-port=6443",
			"--tls-cert-file="+key("apiserver.crt"), "--tls-private-key-file="+key("apiserver.key"), "--client-ca-file="+key("ca.crt"),
			"--kubelet-certificate-authority="+key("ca.crt"), "--kubelet-client-certificate="+key("admin.crt"), "--kubelet-client-key="+key("admin.key"),
			"--kubelet-preferred-address-types=InternalIP", // names of nodes are in no DNS
			"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+key("service-accounts.key"),
			"--service-account-signing-key-file="+key("service-accounts.key"), "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
			"--service-cluster-ip-range="+services, "--allow-privileged=true", "--profiling=false", "--feature-gates=ImageVolume=true",
			// An extension of the API, as Kueue's, believes who comes through the API server.
			"--requestheader-client-ca-file="+key("ca.crt"), "--requestheader-allowed-names=admin", "--requestheader-username-headers=X-Remote-User",
			"--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file="+key("admin.crt"), "--proxy-client-key-file="+key("admin.key"))
	case "kube-controller-manager":
		return one(admin, "--service-account-private-key-file="+key("service-accounts.key"), "--root-ca-file="+key("ca.crt"), "--leader-elect=false",
			"--controllers=*,-cloud-node-lifecycle-controller", "--bind-address=127.0.0.1", "--cert-dir="+k.at("manager"), "--allocate-node-cidrs=false",
			"--flex-volume-plugin-dir="+k.at("plugins"))
	case "kube-scheduler":
		return one(admin, "--leader-elect=false", "--bind-address=127.0.0.1", "--cert-dir="+k.at("scheduler"))
	case "containerd":
		return []string{k.containerd, "--config", k.at("containerd.toml")}
	case "kubelet":
		return one("--config="+k.at("kubelet.yaml"), "--kubeconfig="+k.at("node1.kubeconfig"), "--root-dir="+k.at("kubelet"), "--hostname-override=node1", "--node-ip="+Address)
	case "kube-proxy":
		return one("--config=" + k.at("kube-proxy.yaml"))
	case "coredns":
		return []string{k.coredns, "-conf", k.at("Corefile")}
	default:
		panic("no program of the cluster: " + name)
	}
}

// configure writes the files that the programs read.
func (k *Kubernetes) configure(sandbox string) error {
	beside := filepath.Dir(k.containerd) // where its shim is
	files := map[string]string{
		"containerd.toml": fmt.Sprintf(`version = 3
root = %q
state = %q
[grpc]
address = %q
[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = %q
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = %q
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
runtime_path = %q
`, k.at("containerd"), k.at("state"), k.at("containerd.sock"), sandbox, k.at("cni"), filepath.Join(beside, "containerd-shim-runc-v2")),
		"cni/10-pods.conflist": fmt.Sprintf(`{"cniVersion": "0.4.0", "name": "pods", "plugins": [
 {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}},
 {"type": "portmap", "capabilities": {"portMappings": true}}]}
`, pods),
		"kubelet.yaml": fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[1]s
tlsCertFile: %[2]s
tlsPrivateKeyFile: %[3]s
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %[4]s}}
authorization: {mode: Webhook}
healthzBindAddress: 127.0.0.1
cgroupDriver: cgroupfs
cgroupRoot: /%[5]s
cgroupsPerQOS: true
enforceNodeAllocatable: []
failSwapOn: false
failCgroupV1: false
containerRuntimeEndpoint: unix://%[6]s
podLogsDir: %[7]s
volumePluginDir: %[8]s
evictionHard: {}
imageGCHighThresholdPercent: 100
serializeImagePulls: false
registryPullQPS: 0
clusterDomain: cluster.local
clusterDNS: [%[1]s]
resolvConf: ""
nodeStatusUpdateFrequency: 3s
syncFrequency: 5s
featureGates: {ImageVolume: true}
`, Address, k.keys.file("kubelet.crt"), k.keys.file("kubelet.key"), k.keys.file("ca.crt"), k.node.groups, k.at("containerd.sock"), k.at("logs"), k.at("plugins")),
		"kube-proxy.yaml": fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
bindAddress: %s
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
clientConnection: {kubeconfig: %s}
clusterCIDR: %s
hostnameOverride: node1
conntrack: {maxPerCore: 0, min: 0}
`, Address, k.Kubeconfig, pods),
		"Corefile": fmt.Sprintf(`.:53 {
	bind %s
	errors
	kubernetes cluster.local in-addr.arpa {
		kubeconfig %s
	}
	cache 5
}
`, Address, k.Kubeconfig),
	}
	var err error
	for name, text := range files {
		err = errors.Join(err, os.MkdirAll(filepath.Dir(k.at(name)), 0o700), os.WriteFile(k.at(name), []byte(text), 0o600))
	}
	return err
}
