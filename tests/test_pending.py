"""SLURM's reasons for a waiting job: each either passes or names what has to be done."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from distillation_dynamics.jobs.pending import OPTIONS, Fate, meaning, sentence
from distillation_dynamics.study.compute import TrainingCompute

PARTS = ("compute.students",)
# All names of SLURM's list (25.05), by what they mean; those of other versions are among them.
PASSES = """
    None Prolog Priority Dependency Resources BeginTime Licenses Reservation ReqNodeNotAvail FrontEndDown
    SchedDefer NodeDown NonZeroExitCode RaisedSignal TimeLimit InactiveLimit Cleaning JobArrayTaskLimit
    BurstBufferResources BurstBufferStageIn PowerNotAvail PowerReserved FedJobLock OutOfMemory"""
SHARED = """AssociationJobLimit AssociationResourceLimit QOSJobLimit QOSResourceLimit
    QOSGrpCpuLimit QOSGrpCPURunMinutesLimit QOSGrpJobsLimit QOSGrpMemLimit QOSGrpNodeLimit QOSGrpSubmitJobsLimit
    QOSMaxCpuPerUserLimit QOSMaxJobsPerUserLimit QOSMaxNodePerUserLimit QOSMaxSubmitJobPerUserLimit
    AssocGrpCpuLimit AssocGrpCPURunMinutesLimit AssocGrpJobsLimit AssocGrpMemLimit AssocGrpNodeLimit
    AssocGrpSubmitJobsLimit AssocMaxJobsLimit AssocMaxSubmitJobLimit
    AssocGrpUnknown AssocGrpUnknownRunMinutes AssocGrpMemRunMinutes AssocGrpNodeRunMinutes AssocGrpEnergy
    AssocGrpEnergyRunMinutes AssocGrpGRES AssocGrpGRESRunMinutes AssocGrpLicense AssocGrpLicenseRunMinutes AssocGrpBB
    AssocGrpBBRunMinutes AssocGrpBilling AssocGrpBillingRunMinutes
    QOSGrpUnknown QOSGrpUnknownRunMinutes QOSMaxUnknownPerUser QOSGrpMemoryRunMinutes QOSMaxMemoryPerUser
    QOSGrpNodeRunMinutes QOSGrpEnergy QOSGrpEnergyRunMinutes QOSMaxEnergyPerUser QOSGrpGRES QOSGrpGRESRunMinutes
    QOSMaxGRESPerUser QOSGrpLicense QOSGrpLicenseRunMinutes QOSMaxLicensePerUser QOSGrpBB QOSGrpBBRunMinutes
    QOSMaxBBPerUser QOSGrpBilling QOSGrpBillingRunMinutes QOSMaxBillingPerUser
    MaxBBPerAccount MaxCpuPerAccount MaxEnergyPerAccount MaxGRESPerAccount MaxNodePerAccount MaxLicensePerAccount
    MaxMemoryPerAccount MaxUnknownPerAccount MaxJobsPerAccount MaxSubmitJobsPerAccount MaxBillingPerAccount"""
STAYS = """PartitionDown PartitionInactive JobHeldAdmin JobHeldUser JobHoldMaxRequeue JobLaunchFailure SystemFailure
    BurstBufferOperation AccountingPolicy Constraints AssociationTimeLimit QOSTimeLimit QOSUsageThreshold
    QOSGrpCPUMinutesLimit QOSGrpWallLimit AssocGrpCPUMinutesLimit AssocGrpWallLimit AssocGrpUnknownMinutes
    AssocGrpMemMinutes AssocGrpNodeMinutes AssocGrpEnergyMinutes AssocGrpGRESMinutes AssocGrpLicenseMinutes
    AssocGrpBBMinutes AssocGrpBillingMinutes QOSGrpUnknownMinutes QOSGrpMemoryMinutes QOSGrpNodeMinutes
    QOSGrpEnergyMinutes QOSGrpGRESMinutes QOSGrpLicenseMinutes QOSGrpBBMinutes QOSGrpBillingMinutes"""
NEVER = """PartitionNodeLimit PartitionTimeLimit BadConstraints PartitionConfig InvalidAccount InvalidQOS QOSNotAllowed
    AccountNotAllowed DependencyNeverSatisfied ReservationDeleted ReservationInvalid DeadLine MaxMemPerLimit
    QOSMaxCpuPerJobLimit QOSMaxCpuMinutesPerJobLimit QOSMaxNodePerJobLimit QOSMaxWallDurationPerJobLimit
    QOSMinCpuNotSatisfied AssocMaxCpuPerJobLimit AssocMaxCpuMinutesPerJobLimit AssocMaxNodePerJobLimit
    AssocMaxWallDurationPerJobLimit AssocMaxUnknownPerJob AssocMaxUnknownPerNode AssocMaxUnknownMinutesPerJob
    AssocMaxCpuPerNode AssocMaxMemPerJob AssocMaxMemPerNode AssocMaxMemMinutesPerJob AssocMaxNodeMinutesPerJob
    AssocMaxEnergyPerJob AssocMaxEnergyPerNode AssocMaxEnergyMinutesPerJob AssocMaxGRESPerJob AssocMaxGRESPerNode
    AssocMaxGRESMinutesPerJob AssocMaxLicensePerJob AssocMaxLicenseMinutesPerJob AssocMaxBBPerJob AssocMaxBBPerNode
    AssocMaxBBMinutesPerJob AssocMaxBillingPerJob AssocMaxBillingPerNode AssocMaxBillingMinutesPerJob
    QOSMaxUnknownPerJob QOSMaxUnknownPerNode QOSMaxUnknownMinutesPerJob QOSMinUnknown QOSMaxCpuPerNode
    QOSMaxMemoryPerJob QOSMaxMemoryPerNode QOSMaxMemoryMinutesPerJob QOSMinMemory QOSMaxNodeMinutesPerJob QOSMinNode
    QOSMaxEnergyPerJob QOSMaxEnergyPerNode QOSMaxEnergyMinutesPerJob QOSMinEnergy QOSMaxGRESPerJob QOSMaxGRESPerNode
    QOSMaxGRESMinutesPerJob QOSMinGRES QOSMaxLicensePerJob QOSMaxLicenseMinutesPerJob QOSMinLicense QOSMaxBBPerJob
    QOSMaxBBPerNode QOSMaxBBMinutesPerJob QOSMinBB QOSMaxBillingPerJob QOSMaxBillingPerNode
    QOSMaxBillingMinutesPerJob QOSMinBilling"""
EXPECTED = {
    reason: fate
    for fate, names in ((Fate.PASSES, PASSES), (Fate.SHARED, SHARED), (Fate.STAYS, STAYS), (Fate.NEVER, NEVER))
    for reason in names.split()
}


@pytest.mark.parametrize(("reason", "fate"), EXPECTED.items(), ids=EXPECTED)
def test_each_reason_of_slurms_list_means_that_it_passes_or_what_has_to_be_done(reason, fate):
    found = meaning(reason)
    assert found.fate is fate
    assert bool(found.sentence) is (fate in (Fate.STAYS, Fate.NEVER))


def test_the_slurm_of_this_machine_has_no_reason_that_is_not_in_the_list():
    """Of its library's strings those that can be nothing but reasons."""
    libraries = [*Path("/usr/lib").glob("*/slurm*/libslurmfull.so"), *Path("/usr/lib64").glob("slurm/libslurmfull.so")]
    if not libraries:
        pytest.skip("no SLURM here")
    text = libraries[0].read_bytes()
    found = {
        name.decode()
        for name in re.findall(
            rb"\0((?:QOS|Assoc)(?:Grp|Max|Min)\w+|JobHeld\w+|Partition(?:Down|Inactive|\w+Limit))\0", text
        )
    }
    assert len(found) > 40 and found <= EXPECTED.keys()


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("PartitionTimeLimit", "lower compute.students.runtime (a training goes on in the next attempt), or name "
         "another slurm_partition in slurm/profile.yaml"),
        ("QOSMaxWallDurationPerJobLimit", "lower compute.students.runtime (a training goes on"),
        ("AssocMaxCpuMinutesPerJobLimit", "lower compute.students.threads or compute.students.runtime"),
        ("PartitionNodeLimit", "compute.students.nodes"),
        ("QOSMaxCpuPerJobLimit", "lower compute.students.threads"),
        ("QOSMinCpuNotSatisfied", "change compute.students.threads"),
        ("MaxMemPerLimit", "compute.students.mem_mb"),
        ("QOSMaxGRESPerJob", "lower compute.students.gpu"),
        ("QOSMaxBillingPerJob", "lower compute.students,"),
        ("BadConstraints", "change compute.students in the study"),
        ("InvalidAccount", "slurm_account or slurm_partition in slurm/profile.yaml"),
        ("InvalidQOS", "another qos or slurm_partition in slurm/profile.yaml"),
        ("AssocGrpCPUMinutesLimit", "budget"),
        ("JobHeldUser", "scontrol release"),
    ],
)  # fmt: skip
def test_a_reason_that_does_not_pass_is_named_with_the_key_to_change(reason, words):
    said = sentence(reason, meaning(reason), PARTS)
    assert words in said and said.endswith(f"(SLURM: {reason})") and "{" not in said


@pytest.mark.parametrize("form", [str, lambda words: words.replace(" ", "_")])
@pytest.mark.parametrize(
    "said",
    ["Job's account not permitted to use this partition (closed allows b not a)",
     "Job's account not permitted to use this partition (closed denies a including a)",
     "Job's account not known, so it can't use this partition (closed allows b)",
     "Job's QOS not permitted to use this partition (closed allows high not normal)",
     "Job's QOS not known, so it can't use this partition (closed allows high)"],
)  # fmt: skip
def test_a_partition_that_is_closed_to_an_account_or_qos_is_named_with_the_profile(said, form):
    found = meaning(form(said))
    assert found.fate is Fate.NEVER
    assert "slurm_partition in slurm/profile.yaml" in sentence(said, found, PARTS) and said in sentence(
        said, found, PARTS
    )


@pytest.mark.parametrize(
    ("said", "fate"),
    [
        ("Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions", Fate.PASSES),
        ("ReqNodeNotAvail, UnavailableNodes:node[1-2]", Fate.PASSES),
        ("ReqNodeNotAvail, Reserved for maintenance", Fate.PASSES),
        ("launch failed requeued held", Fate.STAYS),
        ("job requeued in held state", Fate.STAYS),
    ],
)
def test_what_slurm_says_in_words_means_what_its_reason_means(said, fate):
    assert meaning(said).fate is fate


def test_a_reason_that_nobody_knows_has_no_meaning():
    assert meaning("SomethingNew") is None and meaning("") is None


def test_only_of_trainings_it_is_said_that_they_go_on():
    said = sentence("PartitionTimeLimit", meaning("PartitionTimeLimit"), ("compute.data", "compute.networks"))
    assert "lower compute.data.runtime or compute.networks.runtime, or name" in said


def test_the_options_of_the_study_that_sentences_name_are_there():
    assert set(OPTIONS) <= {field.name for field in fields(TrainingCompute)}
