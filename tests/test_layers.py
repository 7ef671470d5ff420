"""tools/layers finds what it says it finds, and the kernel keeps its floors.

Each case of the first half is a small build of its own: files with the names of real
sources, compiled from the text given here. The second half takes the kernel's build,
and plants a call or a circle in a copy of it."""
import shutil
import subprocess

import pytest

from gordian import ROOT

CLEAN = {"kernel/lib/printf.c": "int ksnprintf(void) { return 0; }",
         "kernel/sched/sched.c": "int ksnprintf(void);"
                                 "int schedule(void) { return ksnprintf(); }"}


@pytest.fixture
def layers(tmp_path):
    """layers(sources): builds them, returns the lines that tools/layers prints.
    Left out, unless allowed: that a small build does not take the allowed names."""
    def run(sources, allowed=False):
        for name, text in sources.items():
            obj = tmp_path / (name + ".o")
            obj.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["arm-none-eabi-gcc", "-c", "-xc", "-MMD", "-I", ROOT,
                            "-MF", obj.with_suffix(".d"), "-", "-o", obj],
                           input=text, text=True, check=True)
        p = subprocess.run([ROOT / "tools/layers", tmp_path], text=True,
                           stdout=subprocess.PIPE)
        print(p.stdout)
        assert p.returncode == (" 0 findings" not in p.stdout)
        return [x for x in p.stdout.splitlines() if allowed or "ALLOWED" not in x]

    return run


def test_without_a_build(tmp_path):
    p = subprocess.run([ROOT / "tools/layers", tmp_path], text=True,
                       stdout=subprocess.PIPE)
    assert p.returncode == 2
    assert p.stdout == f"layers: no object files in {tmp_path}: run `make image` first\n"


def test_names_from_below_are_right(layers):
    assert layers(CLEAN)[:-1] == []


def test_a_name_from_above_is_found(layers):
    found = layers({**CLEAN, "kernel/lib/cmdline.c":
                    "int schedule(void); int f(void) { return schedule(); }"})
    assert found[:-1] == ["kernel/lib/cmdline.c takes schedule from "
                          "kernel/sched/sched.c, a higher floor (lib < sched)"]
    assert "1 names up" in found[-1]


def test_a_variable_from_above_is_found(layers):
    found = layers({**CLEAN, "kernel/slab/slab.c": "int slab_state;",
                    "kernel/lib/cmdline.c": "extern int slab_state;"
                                            "int f(void) { return slab_state; }"})
    assert found[0].startswith("kernel/lib/cmdline.c takes slab_state from ")


def test_an_allowed_name_is_allowed_to_one_file(layers):
    """vectors.S may take irq_entry; nobody else below kernel/irq/ may."""
    call = "int irq_entry(void); int f(void) { return irq_entry(); }"
    found = layers({"kernel/irq/irq.c": "int irq_entry(void) { return 0; }",
                    "kernel/arch/vectors.S": call})
    assert found[:-1] == []
    found = layers({"kernel/arch/clock.c": call})
    assert found[0].startswith("kernel/arch/clock.c takes irq_entry from ")


def test_an_allowed_name_that_nobody_takes_is_found(layers):
    line = ("kernel/lock/spinlock.c does not take preempt_schedule: "
            "remove it from ALLOWED")
    assert line in layers(CLEAN, allowed=True)
    assert line not in layers({"kernel/lock/spinlock.c":
                               "int preempt_schedule(void);"
                               "int f(void) { return preempt_schedule(); }",
                               "kernel/sched/sched.c":
                               "int preempt_schedule(void) { return 0; }"},
                              allowed=True)


def ring(names):
    """Files that call each other in a circle."""
    return {name: f"int f{(i + 1) % len(names)}(void);"
                  f"int f{i}(void) {{ return f{(i + 1) % len(names)}(); }}"
            for i, name in enumerate(names)}


def test_circles(layers):
    """Within a floor: five files of one folder may, six may not, two of two
    folders may not."""
    five = [f"demos/e{i}.c" for i in range(5)]
    assert layers(ring(five))[:-1] == []
    assert layers(ring(five + ["demos/e5.c"]))[:-1] == [
        "a circle of 6 files: " + " ".join(five) + " demos/e5.c"]


def test_a_circle_across_folders(layers):
    assert layers(ring(["lab/run.c", "lab/explore/step.c"]))[:-1] == [
        "a circle of 2 files: lab/explore/step.c lab/run.c"]


def test_a_header_of_a_driver(layers):
    found = layers({"kernel/irq/irq.c": '#include "drivers/devices.h"\n'})
    assert found[:-1] == ["kernel/irq/irq.c includes drivers/devices.h"]
    assert layers({"kernel/irq/irq.c": "", "drivers/psci.c":
                   '#include "drivers/devices.h"\n'})[:-1] == []


# ---- the kernel itself -------------------------------------------------------

@pytest.mark.parametrize("profile", ["debug", "release"])
def test_the_kernel_keeps_its_floors(build, profile):
    p = subprocess.run([ROOT / "tools/layers", build(profile)], text=True,
                       stdout=subprocess.PIPE)
    assert p.stdout.splitlines()[:-1] == []
    assert p.stdout.endswith(" 0 names up, 0 findings\n")
    assert p.returncode == 0


@pytest.fixture
def planted(build, tmp_path):
    """planted({source: text}): what tools/layers prints if the text is added to
    these files of the kernel."""
    copy = tmp_path / "debug"
    real = build("debug")

    def run(texts):
        shutil.copytree(real, copy, ignore=shutil.ignore_patterns("gordian.*"))
        for source, text in texts.items():
            obj, more = copy / (source + ".o"), tmp_path / "more.o"
            subprocess.run(["arm-none-eabi-gcc", "-c", "-xc", "-", "-o", more],
                           input=text, text=True, check=True)
            subprocess.run(["arm-none-eabi-ld", "--no-warn-mismatch", "-r",
                            real / (source + ".o"), more, "-o", obj], check=True)
        p = subprocess.run([ROOT / "tools/layers", copy], text=True,
                           stdout=subprocess.PIPE)
        print(p.stdout)
        assert p.returncode == 1
        return p.stdout.splitlines()

    return run


def test_a_call_up_in_the_kernel_is_found(planted):
    found = planted({"kernel/lib/cmdline.c":
                     "int kmem_cache_shrink(void);"
                     "int planted(void) { return kmem_cache_shrink(); }"})
    assert found[0] == ("kernel/lib/cmdline.c takes kmem_cache_shrink from "
                        "kernel/slab/slab_common.c, a higher floor (lib < slab)")
    assert " 1 names up, " in found[-1]


def test_a_circle_in_the_kernel_is_found(planted):
    """Two files of the demos' floor, in two folders."""
    found = planted({"demos/e0.c": "int here(void); int there(void);"
                                   "int here(void) { return there(); }",
                     "demos/forms/barrier.c":
                     "int here(void); int there(void);"
                     "int there(void) { return here(); }"})
    (circle,) = found[:-1]
    assert circle.startswith("a circle of ")
    assert "demos/e0.c" in circle and "demos/forms/barrier.c" in circle
    assert " 0 names up, 1 findings" in found[-1]
