//! Not trusted. The machines that the tests of the kernel run on, and which of them when.

use crate::kernel::{self, Flavor};
use std::time::Duration;

/// One machine: what is different about it.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    pub(super) name: &'static str,
    pub(super) append: &'static str,
    pub(super) emulator: Emulator,
    /// QEMU's.
    pub(super) cpu: &'static str,
    /// Megabytes.
    pub(super) memory: u32,
    pub(super) more: More,
    /// What the first process runs.
    pub(super) command: &'static str,
    pub(super) probe: Probe,
}

/// What the machine is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Emulator {
    /// QEMU, with a thread for each CPU.
    Tcg,
    /// QEMU, with one thread for both.
    TcgInTurns,
    /// See [`super::bochs`]: with so many CPUs.
    Bochs(u8),
}

/// What only some machines have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    Nothing,
    /// Less: all programs are judged, so that no digest is computed.
    Unlisted,
    /// Programs that were not judged, with a segment more.
    Images,
    /// A list of digests beside the judge.
    Allow,
    /// The clients of the servers: this program, curl and wrk.
    Clients,
    /// The programs of other tests.
    Objects,
    /// Shapes of program headers.
    Segments,
    /// A program of ten megabytes, and hostile ones.
    Hogs,
}

impl Machine {
    /// The same on the kernel with checks. It takes more memory. While it identifies the CPU, KASAN
    /// takes addresses of 5-level page tables for wild ones, if an interrupt comes just then; any
    /// kernel of this age does (<https://lkml.iu.edu/hypermail/linux/kernel/2606.1/11911.html>).
    fn watched(&self) -> Machine {
        let cpu = if self.cpu == "max" { "max,la57=off" } else { self.cpu };
        Machine { cpu, memory: self.memory.saturating_mul(2), ..*self }
    }

    /// For [`super::Files::counted`].
    pub(crate) fn counted(more: More) -> Machine {
        Machine { append: "nokaslr", memory: 1024, more, ..PLAIN }
    }
}

/// What is done to a machine from outside while it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Nothing,
    /// Non-maskable interrupts all the time, on each CPU with [`ALL_CPUS`].
    Nmi,
    /// Machine checks all the time, on each CPU.
    MachineCheck,
    /// Reads the page tables of what is current on each CPU.
    PageTables,
}

/// For QEMU's monitor: bank, its status, MCG_STATUS, address, more. Valid, not corrected, enabled
/// and deferred (AMD64 Architecture Programmer's Manual, volume 2, 9.3.2): the program may go on.
pub(super) const MACHINE_CHECK: &str = "4 0xb000100000000000 0x5 0 0";

/// Linux lets the NMIs that come from outside reach the first CPU only, unless it is told.
const ALL_CPUS: &str = "apic_extnmi=all";

pub(super) const PLAIN: Machine = Machine {
    name: "2 CPUs",
    append: "",
    emulator: Emulator::Tcg,
    cpu: "max",
    memory: 512,
    more: More::Nothing,
    command: "runner",
    probe: Probe::Nothing,
};

/// Programs that the judge in the kernel admits.
const JUDGED: Machine = Machine { name: "judged programs", command: "sh /bin/judged.sh", ..PLAIN };

/// What exec asks before.
const STARTS: Machine = Machine { name: "starts", more: More::Images, command: "starts", ..PLAIN };

/// What a program may open for writing.
const WRITES: Machine = Machine { name: "writes", command: "sh /bin/writes.sh", ..PLAIN };

/// No program at CPL 0 where gates would write below the gap.
const GAP: Machine = Machine {
    name: "a small gap below stacks",
    append: "stack_guard_gap=3",
    command: "sh /bin/gap.sh",
    ..PLAIN
};

/// The servers at CPL 0 beside clients of many kinds.
const SERVERS: Machine =
    Machine { name: "servers", more: More::Clients, command: "sh /bin/servers.sh", ..PLAIN };

/// Programs of other tests, refused here and there.
const OBJECTS: Machine = Machine {
    name: "refused programs",
    more: More::Objects,
    command: "judges /cases/objects exec",
    ..PLAIN
};

/// Every shape of program headers: judged, refused or run as in user mode.
const SEGMENTS: Machine = Machine {
    name: "segments",
    more: More::Segments,
    command: "judges /cases/segments run",
    ..PLAIN
};

/// The list of digests beside the judge.
const ALLOW: Machine =
    Machine { name: "kml.allow", more: More::Allow, command: "sh /bin/allow.sh", ..PLAIN };

/// Large and hostile files.
const HOGS: Machine = Machine {
    name: "large and hostile files",
    memory: 2560,
    more: More::Hogs,
    command: "hogs",
    ..PLAIN
};

/// Changed programs, judged here and there.
pub(super) const MUTANTS: Machine =
    Machine { name: "mutants", command: "judges /cases/corpus", ..PLAIN };

const UNVERIFIED: Machine = Machine {
    name: "unverified mode",
    append: "kml.unverified=1",
    more: More::Unlisted,
    command: "runner --unverified",
    ..PLAIN
};

/// What CI runs.
const QUICK: &[Machine] = &[
    PLAIN,
    STARTS,
    JUDGED,
    WRITES,
    ALLOW,
    SERVERS,
    OBJECTS,
    SEGMENTS,
    MUTANTS,
    Machine { name: "page table isolation", append: "pti=on", ..PLAIN },
    UNVERIFIED,
];

const MACHINES: &[Machine] = &[
    PLAIN,
    STARTS,
    JUDGED,
    WRITES,
    GAP,
    ALLOW,
    SERVERS,
    OBJECTS,
    SEGMENTS,
    HOGS,
    MUTANTS,
    Machine { name: "judged programs, careful gates", append: "kml.careful=1 pti=on", ..JUDGED },
    Machine { name: "page table isolation", append: "pti=on", ..PLAIN },
    Machine { name: "4-level page tables, no KASLR", append: "no5lvl nokaslr", ..PLAIN },
    Machine { name: "no SMEP, SMAP, FSGSBASE", cpu: "qemu64", ..PLAIN },
    Machine { name: "careful gates", append: "kml.careful=1", ..PLAIN },
    Machine {
        name: "NMIs",
        append: ALL_CPUS,
        command: "runner --only life; grep NMI: /proc/interrupts",
        probe: Probe::Nmi,
        ..PLAIN
    },
    UNVERIFIED,
];

/// On a CPU that tracks indirect branches for the kernel. Its branch history is to be cleared, so
/// gates are careful where nothing is said.
const TRACKED: &[Machine] = &[
    Machine {
        name: "branch tracking",
        command: "runner --bochs",
        append: SHORT,
        emulator: Emulator::Bochs(1),
        ..PLAIN
    },
    // What is about CPUs: all of it would take half an hour.
    Machine {
        name: "2 CPUs, branch tracking",
        command: "[ $(nproc) = 2 ] && runner --bochs CPU",
        append: SHORT,
        emulator: Emulator::Bochs(2),
        ..PLAIN
    },
    Machine {
        name: "judged programs, branch tracking",
        append: SHORT,
        emulator: Emulator::Bochs(1),
        ..JUDGED
    },
    Machine {
        name: "judged programs, careful gates, branch tracking",
        append: "retbleed=ibpb,force",
        emulator: Emulator::Bochs(1),
        ..JUDGED
    },
    Machine {
        name: "unverified mode, branch tracking",
        append: "kml.unverified=1",
        command: "sh /bin/tracked.sh",
        emulator: Emulator::Bochs(1),
        ..PLAIN
    },
];

const SHORT: &str = "spectre_bhi=off";

/// With the tracer that changes where functions return to: the judge can be left in its midst.
macro_rules! traced {
    ($command:literal) => {
        concat!(
            "mount -t tracefs none /sys/kernel/tracing; ",
            "echo function_graph > /sys/kernel/tracing/current_tracer && ",
            $command
        )
    };
}

/// With the graph tracer, CPUs in turns as for the others. Not on the kernel with checks: there one
/// of these tests takes twenty minutes.
const GRAPHED: &[Machine] = &[
    Machine {
        name: "graph tracing",
        command: "stress --graph",
        emulator: Emulator::TcgInTurns,
        ..PLAIN
    },
    Machine {
        name: "judged programs, traced",
        command: traced!("sh /bin/judged.sh"),
        emulator: Emulator::TcgInTurns,
        ..JUDGED
    },
    Machine {
        name: "large files, traced",
        command: traced!("hogs --traced"),
        emulator: Emulator::TcgInTurns,
        ..HOGS
    },
];

/// On the kernel with checks: RCU knows there whether it watches when it should.
const CHECKED: &[Machine] = &[
    Machine { name: "context tracking", append: "nohz_full=1", ..PLAIN },
    Machine { name: "judged programs, context tracking", append: "nohz_full=1", ..JUDGED },
];

/// Megabytes for 200 programs with 4 each.
const CROWDED: u32 = 384;

/// On the kernel with swap, control groups and the like.
const LONG: &[Machine] = &[
    Machine {
        name: "writes, many file systems",
        command: concat!(
            "sh /bin/writes.sh cgroup2 debugfs tracefs configfs binfmt_misc ",
            "hugetlbfs mqueue loop"
        ),
        ..PLAIN
    },
    MUTANTS,
    HOGS,
    Machine { name: "large files in control groups", command: "hogs --groups", ..HOGS },
    Machine { name: "memory, control groups, perf", command: "stress", ..PLAIN },
    // With a thread for each CPU, QEMU executes int3 that a text patch has removed.
    Machine { name: "tracing", command: "stress --trace", emulator: Emulator::TcgInTurns, ..PLAIN },
    Machine {
        name: "machine checks",
        command: "runner --only life; grep MCE: /proc/interrupts",
        probe: Probe::MachineCheck,
        ..PLAIN
    },
    Machine {
        name: "page tables",
        append: "numa=fake=2",
        memory: 1024,
        command: "stress --page-tables",
        probe: Probe::PageTables,
        ..PLAIN
    },
    Machine { name: "crowd", command: "stress --crowd", memory: CROWDED, ..PLAIN },
    Machine {
        name: "crowd and NMIs",
        memory: CROWDED,
        append: ALL_CPUS,
        command: "stress --crowd; grep NMI: /proc/interrupts",
        probe: Probe::Nmi,
        ..PLAIN
    },
];

/// Machines of their own: see [`super::features`].
pub(super) const FEATURES: &str = "CPU features";
/// The same: see [`super::first`].
pub(super) const FIRST: &str = "first process";

/// Which machines `vm-test` boots, on which kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suite {
    Quick,
    Normal,
    Long,
    Debug,
}

impl Suite {
    pub(super) fn flavor(self) -> Flavor {
        match self {
            Suite::Quick | Suite::Normal => kernel::NANO,
            Suite::Long => kernel::STRESS,
            Suite::Debug => kernel::DEBUG,
        }
    }

    /// The kernel with checks has to do everything.
    pub(super) fn machines(self) -> Vec<Machine> {
        let chosen = match self {
            Suite::Quick => QUICK.to_vec(),
            Suite::Normal => MACHINES.to_vec(),
            Suite::Long => [LONG, GRAPHED, TRACKED].concat(),
            Suite::Debug => {
                let more =
                    LONG.iter().filter(|m| MACHINES.iter().all(|other| other.name != m.name));
                MACHINES.iter().chain(CHECKED).chain(more).chain(TRACKED).copied().collect()
            }
        };
        chosen.iter().map(|machine| self.adapt(machine)).collect()
    }

    /// The machine for this kernel.
    pub(super) fn adapt(self, machine: &Machine) -> Machine {
        if self == Suite::Debug { machine.watched() } else { *machine }
    }

    /// Changed programs whose verdicts are compared.
    pub(super) fn mutants(self) -> usize {
        match self {
            Suite::Quick | Suite::Normal | Suite::Debug => 3000,
            Suite::Long => 100_000,
        }
    }

    /// How long a machine may run.
    pub(super) fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Suite::Quick | Suite::Normal => 1200,
            Suite::Long | Suite::Debug => 3600,
        })
    }
}
