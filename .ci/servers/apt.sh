#!/bin/sh
# Installs what the engines of the tests take from Debian: apt.sh docker|kubernetes|skopeo|torch. Where everything is there it changes nothing;
# who is not root is told what to install, and the target fails.
set -eu
case ${1:-} in
docker) wanted="docker.io:dockerd iptables:iptables iproute2:ip python3:python3 openssh-server:sshd" ;;
kubernetes) wanted="runc:runc containernetworking-plugins:/usr/lib/cni/bridge iptables:iptables iproute2:ip python3:python3" ;;
skopeo) wanted="skopeo:skopeo" ;;
torch) wanted="python3-torch:/usr/lib/python3/dist-packages/torch/__init__.py" ;;
*) echo "usage: apt.sh docker|kubernetes|skopeo|torch" >&2; exit 2 ;;
esac
PATH=$PATH:/usr/sbin:/sbin
missing=
for pair in $wanted; do
  command -v "${pair#*:}" >/dev/null 2>&1 || test -e "${pair#*:}" || missing="$missing ${pair%%:*}"
done
# The images of the tests are made of the files of these.
[ "$1" = torch ] || [ "$1" = skopeo ] || for package in dash coreutils ca-certificates libstdc++6 libgomp1 python3-pip; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
install="apt-get install --no-install-recommends$missing"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "packages of Debian are missing. As root: $install" >&2
  exit 1
fi
echo "$install"
# What is installed is not to start: each test starts an engine of its own.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
fi
apt-get update -qq
# shellcheck disable=SC2086 # the packages are words
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
