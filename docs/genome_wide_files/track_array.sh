#!/bin/bash
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --requeue
# Every base of a genome, one shard for each task of the array. A task that was killed and is queued
# again goes on where it stopped; one that is done does nothing. Open the genome once before, by
# any command, so that tasks do not convert it at the same time.
#   sbatch track_array.sh
# and when all are done: r2mae track-merge parts/*.logp --out scores.bw
set -eu
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
out="parts/$SLURM_ARRAY_TASK_ID.logp"
test -e "$out" && exit 0
r2mae track "${GENOME:-genome.fa.gz}" --model "${MODEL:-dna_model}" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --out "$out" --overwrite --quiet
