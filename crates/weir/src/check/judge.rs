//! From what was tried to what it means: is the feature there, and if not, what to do.

use super::features::{Feature, Status};
use super::findings::{Findings, PROGRAMS, Refusal, Tried};

/// The kernels that weir is made for.
const OLDEST: &str = "5.10";

/// Every feature, in the order in which `weir run` comes to need them.
pub fn features(found: &Findings) -> Vec<Feature> {
    let judge = Judge { found };
    let mut features = vec![judge.kernel()];
    features.extend(judge.capabilities());
    features.push(judge.type_information());
    features.push(judge.compiler());
    features.push(judge.required("mmap-able array", "5.5", &found.mmapable_array, &["CAP_BPF"]));
    features.push(judge.required("ring buffer", "5.8", &found.ring_buffer, &["CAP_BPF"]));
    features.push(judge.required("LRU hash", "4.10", &found.lru_hash, &["CAP_BPF"]));
    features.extend(judge.grace_period());
    features.extend(judge.programs());
    features.push(judge.required("run by hand", "4.12", &found.run_by_hand, LOAD));
    features.extend(judge.hooks());
    features.extend(judge.who_talks());
    features.push(judge.optional("TCP (iter/tcp)", "5.9", "how TCP fares stays unknown", &found.tcp, LOAD));
    features.push(judge.statistics());
    features.push(judge.bpffs());
    features
}

const WITH_BTF: &str = "boot a kernel with CONFIG_DEBUG_INFO_BTF=y";
const BUILT_WITH: &str = "boot a kernel that is built with it";

/// What it takes to load a TC program.
const LOAD: &[&str] = &["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"];

struct Judge<'a> {
    found: &'a Findings,
}

impl Judge<'_> {
    fn kernel(&self) -> Feature {
        let is_new = is_at_least(&self.found.release, OLDEST);
        Feature {
            name: "kernel release",
            status: if is_new { Status::Yes } else { Status::No },
            minimum_kernel: Some(OLDEST),
            instead: Some("older: whatever loads"),
            reason: (!is_new).then(|| format!("{} is older", self.found.release)),
            remedy: (!is_new).then(|| boot(OLDEST)),
            is_required: false,
        }
    }

    fn capabilities(&self) -> [Feature; 3] {
        let one = |name, minimum_kernel, instead| {
            let is_missing = self.found.missing.contains(&name);
            Feature {
                name,
                status: if is_missing { Status::No } else { Status::Yes },
                minimum_kernel,
                instead,
                reason: None,
                remedy: is_missing.then(|| self.grant()),
                is_required: true,
            }
        };
        [
            one("CAP_BPF", Some("5.8"), Some("CAP_SYS_ADMIN")),
            one("CAP_NET_ADMIN", None, None),
            one("CAP_PERFMON", Some("5.8"), Some("CAP_SYS_ADMIN")),
        ]
    }

    fn grant(&self) -> String {
        format!("run as root, or: setcap cap_bpf,cap_net_admin,cap_perfmon+ep {}", self.found.binary)
    }

    fn type_information(&self) -> Feature {
        let is_there = self.found.type_information;
        Feature {
            name: "type information (BTF)",
            status: if is_there { Status::Yes } else { Status::No },
            minimum_kernel: Some("5.4"),
            instead: None,
            reason: (!is_there).then(|| "no /sys/kernel/btf/vmlinux".into()),
            remedy: (!is_there).then(|| WITH_BTF.into()),
            is_required: true,
        }
    }

    fn compiler(&self) -> Feature {
        let outcome = match &self.found.compiled {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal { is_permission: false, text: String::new() }),
            Err(refusal) => Err(refusal.clone()),
        };
        let feature = self.optional("BPF JIT", "3.18", "interpreter, slower", &outcome, LOAD);
        match self.found.compiled {
            Ok(false) => Feature { remedy: Some("sysctl net.core.bpf_jit_enable=1".into()), ..feature },
            _ => feature,
        }
    }

    fn grace_period(&self) -> [Feature; 2] {
        let by_call = &self.found.membarrier;
        let first = self.optional("membarrier(2)", "4.3", "map-in-map update", by_call, &[]);
        // It answers EINVAL where CPUs run without a tick: that is how the host is meant to be.
        let first = Feature { remedy: None, ..first };
        let mut second = self.required("map-in-map update", "5.0", &self.found.grace_period, &["CAP_BPF"]);
        if by_call.is_ok() {
            second.status = Status::NotNeeded;
            second.is_required = false;
        }
        [first, second]
    }

    fn programs(&self) -> Vec<Feature> {
        let programs = PROGRAMS.into_iter().zip(&self.found.programs);
        let mut features: Vec<_> = programs.map(|(name, tried)| self.program(name, tried)).collect();
        // Each by itself loads, but not all of them with tables of a useful size.
        if self.found.probe.is_err() && features.iter().all(|feature| feature.status == Status::Yes) {
            features.push(self.program("the whole probe", &self.found.probe));
        }
        features
    }

    /// A program is refused for what it uses.
    fn program(&self, name: &'static str, tried: &Tried) -> Feature {
        let feature = self.required(name, OLDEST, tried, LOAD);
        let maps = [
            (&self.found.mmapable_array, "mmap-able array", "5.5"),
            (&self.found.ring_buffer, "ring buffer", "5.8"),
            (&self.found.lru_hash, "LRU hash", "4.10"),
        ];
        let refused =
            maps.into_iter().find_map(|(tried, name, minimum)| Some((tried.as_ref().err()?, name, minimum)));
        // The verifier says EACCES as well; where maps are refused so, it is not the verifier.
        if feature.status != Status::No || refused.is_some_and(|(refusal, ..)| refusal.is_permission) {
            return feature;
        }
        let (reason, remedy) = match refused {
            _ if !self.found.type_information => ("no type information".into(), WITH_BTF.into()),
            Some((_, name, minimum)) => (format!("no {name} (Linux {minimum})"), boot(minimum)),
            None if is_too_complex(tried) => {
                ("too complex for this verifier".into(), "boot a newer Linux, and please report it".into())
            }
            None if self.found.is_confidential => {
                ("kernel is locked down".into(), "boot with lockdown=integrity or less".into())
            }
            None if !is_at_least(&self.found.release, OLDEST) => {
                (format!("Linux {} is too old", short(&self.found.release)), boot(OLDEST))
            }
            None => ("refused".into(), "`weir check -v` tells how; please report it".into()),
        };
        Feature { reason: Some(reason), remedy: Some(remedy), ..feature }
    }

    fn hooks(&self) -> [Feature; 2] {
        let tcx = self.optional("TCX links", "6.6", "clsact filters", &self.found.tcx, LOAD);
        let (status, reason) = match (tcx.status, self.found.clsact) {
            (Status::Yes, _) => (Status::NotNeeded, None),
            (_, Some(true)) => (Status::Yes, None),
            _ => (Status::No, Some("no module sch_ingress".to_string())),
        };
        let clsact = Feature {
            name: "clsact filters",
            status,
            minimum_kernel: Some("4.5"),
            instead: None,
            reason,
            remedy: (status == Status::No).then(|| "boot a kernel with CONFIG_NET_SCH_INGRESS".into()),
            is_required: tcx.status == Status::No,
        };
        [tcx, clsact]
    }

    /// What tells which processes talk.
    fn who_talks(&self) -> Vec<Feature> {
        let Findings { socket_tracepoints, socket_functions, processes, dns, drops, .. } = self.found;
        let functions = socket_functions
            .iter()
            .map(|tried| self.optional("socket fentry", "5.11", "processes stay unknown", tried, LOAD));
        let mut features =
            vec![self.optional("socket tracepoints", "6.3", "fentry (5.11)", socket_tracepoints, LOAD)];
        features.extend(functions);
        features.push(self.optional("process tracepoints", "5.8", "/proc, while they live", processes, LOAD));
        features.push(self.optional("DNS (TC)", "5.8", "no DNS, no names from it", dns, LOAD));
        features.push(self.optional("drops (kfree_skb)", "5.5", "no drops", drops, LOAD));
        features
    }

    fn statistics(&self) -> Feature {
        let found = &self.found.statistics;
        let instead = "kernel.bpf_stats_enabled";
        let feature = self.optional("statistics (weir cost)", "5.8", instead, found, &[]);
        match found {
            Err(refusal) if refusal.is_permission => Feature {
                status: Status::NotTried,
                reason: Some("CAP_SYS_ADMIN is missing".into()),
                remedy: Some("run `weir cost` as root".into()),
                ..feature
            },
            Err(_) => {
                let remedy = "sysctl kernel.bpf_stats_enabled=1 while `weir cost` measures";
                Feature { remedy: Some(remedy.into()), ..feature }
            }
            Ok(()) => feature,
        }
    }

    fn bpffs(&self) -> Feature {
        let instead = "no count of a kill's last interval";
        let feature = self.optional("ledger in bpffs", "4.4", instead, &self.found.bpffs, &["CAP_BPF"]);
        let remedy = match (feature.status, &self.found.bpffs) {
            (Status::No, Err(refusal)) if refusal.is_permission => {
                "run as root: bpffs is not open to this user"
            }
            (Status::No, _) => "run as root, who may mount a bpffs, or: mount -t bpf bpf /sys/fs/bpf",
            _ => return feature,
        };
        Feature { remedy: Some(remedy.into()), ..feature }
    }

    fn required(
        &self,
        name: &'static str,
        minimum: &'static str,
        tried: &Tried,
        needs: &[&'static str],
    ) -> Feature {
        let (status, reason, remedy) = match tried {
            Ok(()) => (Status::Yes, None, None),
            Err(refusal) if refusal.is_permission => match self.want(needs) {
                Some(capability) => {
                    (Status::NotTried, Some(format!("{capability} is missing")), Some(self.grant()))
                }
                None => (
                    Status::No,
                    Some("bpf(2) is refused to this process".to_string()),
                    Some(
                        "the capabilities are there, so it is a user namespace, a seccomp profile or a \
                         security module: have the container's settings allow bpf(2)"
                            .to_string(),
                    ),
                ),
            },
            Err(_) if is_at_least(&self.found.release, minimum) => {
                (Status::No, Some("this kernel is without it".into()), Some(BUILT_WITH.into()))
            }
            Err(_) => (Status::No, Some(format!("Linux {} is older", self.release())), Some(boot(minimum))),
        };
        Feature {
            name,
            status,
            minimum_kernel: Some(minimum),
            instead: None,
            reason,
            remedy,
            is_required: true,
        }
    }

    /// A feature that something else can stand in for: why it is missing matters less than what does.
    fn optional(
        &self,
        name: &'static str,
        minimum: &'static str,
        instead: &'static str,
        tried: &Tried,
        needs: &[&'static str],
    ) -> Feature {
        let feature = self.required(name, minimum, tried, needs);
        let reason = if feature.status == Status::NotTried { feature.reason } else { None };
        Feature { instead: Some(instead), reason, is_required: false, ..feature }
    }

    /// The capability to name where the kernel said EPERM.
    fn want(&self, needs: &[&'static str]) -> Option<&'static str> {
        let missing = &self.found.missing;
        needs.iter().find(|need| missing.contains(need)).or(missing.first()).copied()
    }

    fn release(&self) -> &str {
        short(&self.found.release)
    }
}

/// The verifier gives up after a million instructions; how far it gets with them differs by release.
fn is_too_complex(tried: &Tried) -> bool {
    tried.as_ref().is_err_and(|refusal: &Refusal| refusal.text.contains("program is too large"))
}

fn boot(minimum: &str) -> String {
    format!("boot Linux {minimum} or newer")
}

/// `6.18` of `6.18.44-cloud`.
fn short(release: &str) -> &str {
    match release.match_indices('.').nth(1) {
        Some((end, _)) => &release[..end],
        None => release,
    }
}

/// Whether a release such as `6.18.44-cloud` is `minimum` or newer.
fn is_at_least(release: &str, minimum: &str) -> bool {
    let numbers = |text: &str| {
        let mut parts =
            text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    };
    numbers(release) >= numbers(minimum)
}

#[cfg(test)]
mod tests;
