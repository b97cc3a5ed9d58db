# shellcheck shell=bash disable=SC2154 # who sources it sets `here`, `modules` and `programs`
# Virtual machines with Debian's cloud kernels: what `run` and `power` have in common. Sourced with `here`, the folder of
# these scripts, `modules`, those that the machine shall load, and `programs`, those of this host that it shall have.
#
#   WEIR_BIN              the binary (target/release/weir)
#   WEIR_KERNELS_CACHE    kernels, package lists and logs (~/.cache/weir-kernels)
#   WEIR_KERNELS_TIMEOUT  seconds per kernel (1500)

weir=${WEIR_BIN:-$here/../../target/release/weir}
cache=${WEIR_KERNELS_CACHE:-$HOME/.cache/weir-kernels}
suites=(bullseye bookworm bookworm-backports trixie trixie-backports)

die() {
	echo "kernels: $*" >&2
	exit 1
}

# The mirror that this machine uses for its own packages.
mirror() {
	{ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true; } |
		sed -nE 's/^(deb (\[[^]]*\] )?|URIs: *)([^ ]+\/debian)\/?( .*)?$/\3/p' | head -n1
}

# apt with lists and cache of its own; the machine's are not touched.
apt() {
	local command=$1
	shift
	"$command" -qq -o Dir::Etc::sourcelist="$cache/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$cache/apt/lists" -o Dir::State::status="$cache/apt/status" \
		-o Dir::Cache="$cache/apt/cache" -o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)" "$@"
}

update_lists() {
	local mirror suite
	mirror=$(mirror)
	[ -n "$mirror" ] || die "no Debian mirror in /etc/apt: add one"
	mkdir -p "$cache"/apt/{lists,cache/archives}/partial "$cache"/{deb,root,log}
	touch "$cache/apt/status"
	for suite in "${suites[@]}"; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
	done >"$cache/apt/sources.list"
	apt apt-get update >/dev/null || echo "kernels: no new package lists, going on with those in $cache" >&2
}

# newest 6.12: the newest version that begins so and has a signed or plain image, not only debug symbols.
newest() {
	apt apt-cache search --names-only "^linux-(image|binary)-${1//./\\.}[.].*cloud-amd64\$" |
		sed -E 's/^linux-(image|binary)-([^ ]+) .*/\2/' | sort -uV | tail -n1
}

# From 7.0 on, image and modules are packages of their own.
fetch() {
	local version=$1 root=$cache/root/$1 package
	local packages=("linux-image-$version")
	[ -d "$root" ] && return
	[ -z "$(apt apt-cache search --names-only "^linux-binary-${version//+/\\+}\$")" ] ||
		packages=("linux-binary-$version")
	[ -z "$(apt apt-cache search --names-only "^linux-modules-${version//+/\\+}\$")" ] ||
		packages+=("linux-modules-$version")
	rm -rf "$root.new"
	mkdir "$root.new"
	for package in "${packages[@]}"; do
		(cd "$cache/deb" && apt apt-get download "$package" >/dev/null) || die "cannot fetch $package"
		dpkg -x "$cache/deb/$package"_*.deb "$root.new"
		rm "$cache/deb/$package"_*.deb
	done
	mv "$root.new" "$root"
}

# install_program TREE PROGRAM NAME: and the libraries it is linked with, where the loader looks for them.
install_program() {
	local file
	cp "$2" "$1/tools/$3"
	for file in $(ldd "$2" | grep -oE '/[^ ]+'); do
		[ -e "$1$file" ] || install -D "$file" "$1$file"
	done
}

# initramfs VERSION INIT [PART...]: with this first process and what it reads, in the cache.
initramfs() {
	local tree module name
	tree=$(mktemp -d)
	mkdir -p "$tree"/{bin,tools,proc,sys,tmp,run,dev,modules}
	cp "$(command -v busybox)" "$tree/bin/busybox"
	cp "$2" "$tree/init"
	[ $# = 2 ] || cp "${@:3}" "$tree/"
	install_program "$tree" "$weir" weir
	for name in "${programs[@]}"; do
		install_program "$tree" "$(PATH=$PATH:/sbin:/usr/sbin command -v "$name")" "$name"
	done
	for name in "${modules[@]}"; do
		module=$(find "$cache/root/$1" -name "$name.ko*" | head -n1)
		case $module in
		*.xz) xz -dc "$module" >"$tree/modules/$name.ko" ;;
		?*) cp "$module" "$tree/modules/" ;;
		esac
	done
	(cd "$tree" && find . | "$tree/bin/busybox" cpio -o -H newc 2>/dev/null | gzip -1) >"$cache/initramfs.gz"
	rm -rf "$tree"
}

# have_machines: whether all is there that it takes.
have_machines() {
	command -v qemu-system-x86_64 >/dev/null || die "install qemu-system-x86"
	command -v busybox >/dev/null || die "install busybox-static"
	[ -x "$weir" ] || die "no binary at $weir: make build, or set WEIR_BIN"
	update_lists
}

# version KERNEL: the newest that begins so, fetched.
version() {
	local version
	version=$(newest "$1")
	[ -n "$version" ] || die "Debian has no kernel $1: choose another, such as 6.1"
	fetch "$version"
	echo "$version"
}

# image VERSION
image() {
	find "$cache/root/$1" -name 'vmlinuz*' -type f | head -n1
}
