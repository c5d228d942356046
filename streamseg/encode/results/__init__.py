"""Results without pictures, as JSON lines and in the formats of the field, chosen by the output's name.

    out.jsonl        one line a frame        out.coco.json    COCO instances with RLE masks
    out.mots.txt     MOTS text               out.ytvis.json   YouTube-VIS, one annotation a track
    out.mots/        MOTS PNG folder         out.cvat.zip     CVAT's "MOTS PNG" archive
    out.kitti.txt    KITTI tracking          out.bdd.json     BDD100K, in Scalabel's format
    out.events.csv   a line an event         out.openlabel.json   ASAM OpenLABEL
    out.parquet      a row an instance       out.nuimages/    nuImages' tables, and key frames
    out.clips/       a film an event         out.otio         OpenTimelineIO

Each is written while the video runs. All but lines of text are whole under their name only at the end, also of a run that is
interrupted or fails. Which class writes which is said in `encode.kinds`.
"""
