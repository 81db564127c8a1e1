# What Snakemake does not see by itself: files that changed after they were written, other packages, copied results.
METADATA = Path(".snakemake/metadata")
KEPT_METADATA = Path("results/.metadata")


@cache
def force_stale_outputs():
    """Have files made again that Snakemake thinks finished; each is said on stderr."""
    if not workflow.is_main_process:
        return
    stale, others = [], {}
    wanted = {*map(str, ALL), *DATA_FILES, *(rules.teacher_outputs.output if STUDY.caches_teacher else [])}
    for path, record in records.read(RESULTS, DATA, TEACHER, TEACHER_OUTPUTS):
        for file, fault in records.damaged(path, record):
            if file in wanted:
                print(f"{file}: {fault}; stage {record['stage']} runs again", file=sys.stderr)
                stale.append(file)
        for package, versions in records.other_packages(record).items():
            outputs = [os.path.normpath(path.parent / name) for name in record["files"]]
            others.setdefault((package, *versions), []).extend(file for file in outputs if file in wanted)
    for (package, then, now), outputs in others.items():
        again = STUDY.package_versions == "rerun"
        what = "they are made again" if again else "numbers may differ; `package_versions: rerun` makes them again"
        if outputs:
            print(f"{len(outputs)} files were made with {package} {then}, here is {now}: {what}", file=sys.stderr)
        stale += outputs if again else []
    # There is no public way to say so from here; a set of files, as `--forcerun` fills it.
    workflow.dag.forcefiles.update(stale)


# Results that were copied here bring along what is known of them.
if workflow.is_main_process:
    for path in KEPT_METADATA.rglob("*"):
        known = METADATA / path.relative_to(KEPT_METADATA)
        if path.is_file() and not known.exists():
            known.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, known)


def keep_metadata():
    """Copy what Snakemake knows of the results beside them."""
    if METADATA.is_dir():
        shutil.copytree(METADATA, KEPT_METADATA, dirs_exist_ok=True)


onsuccess:
    keep_metadata()


onerror:
    keep_metadata()
