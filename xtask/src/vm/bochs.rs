//! Not trusted. Machines that Bochs emulates: its CPUs track indirect branches, QEMU's do not.
//!
//! Bochs does not load kernels, so there is a disc with GRUB on it. Time goes by as instructions
//! do, and a second CPU takes turns with the first, which is slow.

use super::files::{Files, dies_with_us};
use crate::kernel;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// With indirect branch tracking, and not yet so new that GRUB or Linux would want more.
const CPU: &str = "tigerlake";
const BOCHS: &str = "bochs-bin";
const VIDEO: &str = "/usr/share/bochs/VGABIOS-lgpl-latest";
const GRUB: &str = "/usr/lib/grub/i386-pc";

const INSTALL: &str = "install, as root: apt-get install bochs vgabios grub-common grub-pc-bin \
                       xorriso mtools";

/// Bochs with this kernel, whose console is the standard output.
pub(super) fn machine(
    files: &Files,
    image: &Path,
    cpus: u8,
    memory: u32,
    append: &str,
    initramfs: &Path,
) -> Result<Command> {
    let programs = [BOCHS, "grub-mkrescue", "xorriso"].map(kernel::on_path);
    let there = programs.iter().all(|found| *found) && Path::new(GRUB).exists();
    ensure!(there && Path::new(VIDEO).exists(), INSTALL);

    let boot = files.path("disc/boot");
    fs::create_dir_all(boot.join("grub"))?;
    fs::copy(image, boot.join("kernel"))?;
    fs::copy(initramfs, boot.join("initramfs"))?;
    // A triple fault ends Bochs; it has no other way to be switched off from inside.
    let menu = format!("linux /boot/kernel {append} reboot=t\ninitrd /boot/initramfs\nboot\n");
    fs::write(boot.join("grub/grub.cfg"), menu)?;
    let disc = files.path("disc.iso");
    let mut make = Command::new("grub-mkrescue");
    make.args(["-d", GRUB, "--install-modules=linux iso9660 biosdisk normal", "--locales="]);
    make.args(["--fonts=", "--themes=", "-o"]).arg(&disc).arg(files.path("disc"));
    let made = make.output().context("cannot start grub-mkrescue")?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let settings = files.path("bochsrc");
    fs::write(&settings, self::settings(&disc, &files.path("bochs.log"), cpus, memory))?;
    // Debian's Bochs has its debugger, which waits to be told to continue.
    let script = files.path("bochs.rc");
    fs::write(&script, "c\n")?;
    let mut bochs = dies_with_us(BOCHS);
    bochs.arg("-q").arg("-f").arg(settings).arg("-rc").arg(script);
    Ok(bochs)
}

/// What the first process runs, for a command: the kernel complains of this CPU's CPUID, and what
/// is on its way through the serial line is lost at the end.
pub(super) fn command(command: &str) -> String {
    format!("dmesg -c > /tmp/boot\n{command}\nsleep 1")
}

/// The configuration file. Bochs insists on a display: one for VNC, for which nobody waits.
fn settings(disc: &Path, log: &Path, cpus: u8, memory: u32) -> String {
    format!(
        "cpu: model={CPU}, count={cpus}, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1\n\
         memory: guest={memory}, host={memory}\n\
         romimage: file=/usr/share/bochs/BIOS-bochs-latest\n\
         vgaromimage: file={VIDEO}\n\
         ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n\
         ata0-master: type=cdrom, path={}, status=inserted\n\
         boot: cdrom\n\
         display_library: rfb, options=\"timeout=0\"\n\
         com1: enabled=1, mode=file, dev=/dev/stdout\n\
         plugin_ctrl: speaker=0, parallel=0, gameport=0, iodebug=0\n\
         sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy\n\
         speaker: enabled=0\n\
         clock: sync=none, time0=local\n\
         log: {}\n\
         panic: action=fatal\n\
         error: action=ignore\n\
         info: action=ignore\n",
        disc.display(),
        log.display()
    )
}
